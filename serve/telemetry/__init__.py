"""What the server tells of itself: metrics, events, the prediction log."""
