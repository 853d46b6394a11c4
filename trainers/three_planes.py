"""The two-dimensional network that we recommend."""

from __future__ import annotations

from nnunet_femur.recipe.hyperparameters import ThreePlaneRecipe
from nnunet_femur.training.slices.slice_trainer import SliceTrainer


class FemurThreePlaneTrainer(SliceTrainer):
    """U-Net with a ResNet34 encoder (24.4 million parameters) on three planes, by our own recipe."""

    recipe_class = ThreePlaneRecipe
    architecture = "Unet"
    encoder = "ResNet34"
