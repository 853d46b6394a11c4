"""Hospital drop to nnU-Net raw dataset: pairing, checks, splits, writing."""
