"""A run's model for elsewhere: SavedModel, LiteRT, ONNX, and how each compares with the run."""
