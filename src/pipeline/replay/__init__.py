"""Months of data through running servers."""
