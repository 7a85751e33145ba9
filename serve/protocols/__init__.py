"""One file for each prediction protocol."""
