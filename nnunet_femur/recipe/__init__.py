"""Recipes: the hyperparameters of trainings, their checks, and the trainers that they are for.

- `hyperparameters`: a recipe for each family of trainers, and how nnU-Net's plans contain it.
- `slice_planes`: planes of slices by name.
- `trainer_names`: the trainers by name, without importing them.
- `recipe_checks`: problems of single values, and the recipe of a trainer under a configuration.
- `recipe_rules`: values, data and trainers that do not fit together.
"""
