"""Trainers of two-dimensional networks: three planes with ``3d_fullres``, axial slices with ``2d``."""

from __future__ import annotations

from nnunet_femur.training.slices.slice_trainer import SliceTrainer


class FemurUnetResNet34Trainer(SliceTrainer):
    """U-Net with a ResNet34 encoder (24.4 million parameters)."""

    architecture = "Unet"
    encoder = "ResNet34"


class FemurUnetResNet50Trainer(SliceTrainer):
    """U-Net with a ResNet50 encoder (32.5 million parameters)."""

    architecture = "Unet"
    encoder = "ResNet50"


class FemurUnetDeepLabV3Trainer(SliceTrainer):
    """U-Net with the encoder of DeepLabV3, a dilated ResNet50 with a pyramid (42.3 million parameters)."""

    architecture = "Unet"
    encoder = "DeepLabV3"


class FemurUnetMobileNetV3Trainer(SliceTrainer):
    """U-Net with a MobileNetV3 encoder, the one of the authors' notebooks (6.7 million parameters)."""

    architecture = "Unet"
    encoder = "MobileNetV3"


class FemurUnetPlusPlusResNet34Trainer(SliceTrainer):
    """U-Net++ with a ResNet34 encoder (26.1 million parameters)."""

    architecture = "UnetPlusPlus"
    encoder = "ResNet34"


class FemurUnetPlusPlusResNet50Trainer(SliceTrainer):
    """U-Net++ with a ResNet50 encoder (49.0 million parameters)."""

    architecture = "UnetPlusPlus"
    encoder = "ResNet50"


class FemurUnetPlusPlusDeepLabV3Trainer(SliceTrainer):
    """U-Net++ with the encoder of DeepLabV3, a dilated ResNet50 with a pyramid (45.5 million parameters)."""

    architecture = "UnetPlusPlus"
    encoder = "DeepLabV3"


class FemurUnetPlusPlusMobileNetV3Trainer(SliceTrainer):
    """U-Net++ with a MobileNetV3 encoder, the one of the authors' notebooks (6.9 million parameters)."""

    architecture = "UnetPlusPlus"
    encoder = "MobileNetV3"
