"""Hyperparameters of the trainings, their presets, and how they travel in nnU-Net's plans."""
