"""The HTTP server for one verified bundle. It must not import pandas, scikit-learn or MLflow."""
