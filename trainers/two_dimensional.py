"""Trainers of two-dimensional networks: three planes with ``3d_fullres``, axial slices with ``2d``."""

from __future__ import annotations

from nnunet_femur.recipe.hyperparameters import ThreePlaneRecipe
from nnunet_femur.training.slices.slice_trainer import FemurEndsTrainer, SliceTrainer


class FemurThreePlaneTrainer(SliceTrainer):
    """U-Net with a ResNet34 encoder (24.4 million parameters) by our own recipe, which we recommend."""

    recipe_class = ThreePlaneRecipe
    architecture = "Unet"
    encoder = "ResNet34"


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
    """U-Net with a MobileNetV3 encoder, as in the authors' notebooks (6.7 million parameters)."""

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
    """U-Net++ with a MobileNetV3 encoder, as in the authors' notebooks (6.9 million parameters)."""

    architecture = "UnetPlusPlus"
    encoder = "MobileNetV3"


class FemurHeadUnetResNet34Trainer(FemurEndsTrainer):
    """U-Net with a ResNet34 encoder on the ends of the femur, its first and last 20 axial slices."""

    architecture = "Unet"
    encoder = "ResNet34"


class FemurHeadUnetResNet50Trainer(FemurEndsTrainer):
    """U-Net with a ResNet50 encoder on the ends of the femur, its first and last 20 axial slices."""

    architecture = "Unet"
    encoder = "ResNet50"


class FemurHeadUnetDeepLabV3Trainer(FemurEndsTrainer):
    """U-Net with the encoder of DeepLabV3 on the ends of the femur, its first and last 20 axial slices."""

    architecture = "Unet"
    encoder = "DeepLabV3"


class FemurHeadUnetMobileNetV3Trainer(FemurEndsTrainer):
    """U-Net with a MobileNetV3 encoder on the ends of the femur, its first and last 20 axial slices."""

    architecture = "Unet"
    encoder = "MobileNetV3"


class FemurHeadUnetPlusPlusResNet34Trainer(FemurEndsTrainer):
    """U-Net++ with a ResNet34 encoder on the ends of the femur, its first and last 20 axial slices."""

    architecture = "UnetPlusPlus"
    encoder = "ResNet34"


class FemurHeadUnetPlusPlusResNet50Trainer(FemurEndsTrainer):
    """U-Net++ with a ResNet50 encoder on the ends of the femur, its first and last 20 axial slices."""

    architecture = "UnetPlusPlus"
    encoder = "ResNet50"


class FemurHeadUnetPlusPlusDeepLabV3Trainer(FemurEndsTrainer):
    """U-Net++ with the encoder of DeepLabV3 on the ends of the femur, its first and last 20 axial slices."""

    architecture = "UnetPlusPlus"
    encoder = "DeepLabV3"


class FemurHeadUnetPlusPlusMobileNetV3Trainer(FemurEndsTrainer):
    """U-Net++ with a MobileNetV3 encoder on the ends of the femur, its first and last 20 axial slices."""

    architecture = "UnetPlusPlus"
    encoder = "MobileNetV3"
