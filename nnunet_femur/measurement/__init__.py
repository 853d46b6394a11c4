"""A femur mask in millimetres, degrees and Hounsfield units."""
