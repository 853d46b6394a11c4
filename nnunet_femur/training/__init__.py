"""Recipe, slice loader and the parts that our trainers share."""
