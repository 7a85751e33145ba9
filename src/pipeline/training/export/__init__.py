"""scikit-learn to ONNX."""
