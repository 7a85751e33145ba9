"""All that answers a prediction, and all that the server carries. Light."""
