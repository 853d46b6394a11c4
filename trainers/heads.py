"""Trainers of two-dimensional networks on the ends of the femur: its first and its last 20 axial slices."""

from __future__ import annotations

from nnunet_femur.training.slices.head_trainer import HeadTrainer


class FemurHeadUnetResNet34Trainer(HeadTrainer):
    """U-Net with a ResNet34 encoder (24.4 million parameters)."""

    architecture = "Unet"
    encoder = "ResNet34"


class FemurHeadUnetResNet50Trainer(HeadTrainer):
    """U-Net with a ResNet50 encoder (32.5 million parameters)."""

    architecture = "Unet"
    encoder = "ResNet50"


class FemurHeadUnetDeepLabV3Trainer(HeadTrainer):
    """U-Net with the encoder of DeepLabV3, a dilated ResNet50 with a pyramid (42.3 million parameters)."""

    architecture = "Unet"
    encoder = "DeepLabV3"


class FemurHeadUnetMobileNetV3Trainer(HeadTrainer):
    """U-Net with a MobileNetV3 encoder, the one of the authors' notebooks (6.7 million parameters)."""

    architecture = "Unet"
    encoder = "MobileNetV3"


class FemurHeadUnetPlusPlusResNet34Trainer(HeadTrainer):
    """U-Net++ with a ResNet34 encoder (26.1 million parameters)."""

    architecture = "UnetPlusPlus"
    encoder = "ResNet34"


class FemurHeadUnetPlusPlusResNet50Trainer(HeadTrainer):
    """U-Net++ with a ResNet50 encoder (49.0 million parameters)."""

    architecture = "UnetPlusPlus"
    encoder = "ResNet50"


class FemurHeadUnetPlusPlusDeepLabV3Trainer(HeadTrainer):
    """U-Net++ with the encoder of DeepLabV3, a dilated ResNet50 with a pyramid (45.5 million parameters)."""

    architecture = "UnetPlusPlus"
    encoder = "DeepLabV3"


class FemurHeadUnetPlusPlusMobileNetV3Trainer(HeadTrainer):
    """U-Net++ with a MobileNetV3 encoder, the one of the authors' notebooks (6.9 million parameters)."""

    architecture = "UnetPlusPlus"
    encoder = "MobileNetV3"
