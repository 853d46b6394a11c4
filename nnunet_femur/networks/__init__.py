"""Two-dimensional networks of segmentation-models-pytorch, and the wrapper that runs them on three planes."""
