"""Replaying months of data through running servers."""
