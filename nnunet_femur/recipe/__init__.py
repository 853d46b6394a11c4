"""Recipes: the hyperparameters of trainings, their checks, and the trainers that they are for."""
