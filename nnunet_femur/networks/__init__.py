"""Networks: two-dimensional ones of segmentation-models-pytorch, run on three planes; merged heads; precision."""
