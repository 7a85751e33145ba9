"""One file for each protocol in which predictions are asked."""
