"""Watching the champion: its inputs, its predictions and their outcomes."""
