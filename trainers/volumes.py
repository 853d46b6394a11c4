"""Trainers of three-dimensional networks."""

from __future__ import annotations

from nnunet_femur.training.base import FemurTrainer


class FemurScratchTrainer(FemurTrainer):
    """The network of the plans, trained from random weights: nnU-Net's own training, with a recipe."""
