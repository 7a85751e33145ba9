"""The server: HTTP in front of a proven bundle. It knows neither pandas nor scikit-learn nor MLflow."""
