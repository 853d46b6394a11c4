"""Training of two-dimensional networks on slices of nnU-Net's preprocessed volumes.

Modules in the order of the data's way:

- `slice_order`: the slices that contain femur, and the order in which batches take them.
- `slice_geometry`: planes, pixels, and the window that is cut out of a slice.
- `oblique_cuts`: slices of oblique planes.
- `slice_loader`: batches as pure functions of seed and number.
- `slice_data_trainer`, `slice_trainer`: the trainer that draws the batches, and those that also build the networks.
- `plane_weights`: weights of the planes, learned from validation cases at the end.
"""
