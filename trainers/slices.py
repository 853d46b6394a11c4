"""Trainers of two-dimensional networks: three planes with ``3d_fullres``, axial slices with ``2d``."""

from __future__ import annotations

from nnunet_femur.training.slice_trainer import SliceTrainer


class FemurUnetResNet34Trainer(SliceTrainer):
    """U-Net with a ResNet34 encoder (24.4 million parameters)."""

    architecture = "Unet"
    encoder = "resnet34"
