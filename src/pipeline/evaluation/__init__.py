"""Metrics of predictions, their bootstrap intervals, and both by slice. Needs NumPy only: no training library."""
