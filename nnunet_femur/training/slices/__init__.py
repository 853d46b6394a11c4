"""Training of two-dimensional networks on slices."""
