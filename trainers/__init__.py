"""The nnUNetTrainer subclasses that nnU-Net finds by name."""

from nnunet_femur.trainers.slices import (
    FemurUnetDeepLabV3Trainer,
    FemurUnetMobileNetV3Trainer,
    FemurUnetPlusPlusDeepLabV3Trainer,
    FemurUnetPlusPlusMobileNetV3Trainer,
    FemurUnetPlusPlusResNet34Trainer,
    FemurUnetPlusPlusResNet50Trainer,
    FemurUnetResNet34Trainer,
    FemurUnetResNet50Trainer,
)
from nnunet_femur.trainers.volumes import FemurScratchTrainer

__all__ = [
    "FemurScratchTrainer",
    "FemurUnetDeepLabV3Trainer",
    "FemurUnetMobileNetV3Trainer",
    "FemurUnetPlusPlusDeepLabV3Trainer",
    "FemurUnetPlusPlusMobileNetV3Trainer",
    "FemurUnetPlusPlusResNet34Trainer",
    "FemurUnetPlusPlusResNet50Trainer",
    "FemurUnetResNet34Trainer",
    "FemurUnetResNet50Trainer",
]
