"""Metrics, log events and the prediction log of the server."""
