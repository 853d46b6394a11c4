"""The nnUNetTrainer subclasses that nnU-Net finds by name."""

from nnunet_femur.trainers.heads import (
    FemurHeadUnetDeepLabV3Trainer,
    FemurHeadUnetMobileNetV3Trainer,
    FemurHeadUnetPlusPlusDeepLabV3Trainer,
    FemurHeadUnetPlusPlusMobileNetV3Trainer,
    FemurHeadUnetPlusPlusResNet34Trainer,
    FemurHeadUnetPlusPlusResNet50Trainer,
    FemurHeadUnetResNet34Trainer,
    FemurHeadUnetResNet50Trainer,
)
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
from nnunet_femur.trainers.three_planes import FemurThreePlaneTrainer
from nnunet_femur.trainers.transfer import FemurFinetunePaperTrainer, FemurFinetuneTrainer
from nnunet_femur.trainers.volumes import FemurScratchTrainer

__all__ = [
    "FemurFinetunePaperTrainer",
    "FemurFinetuneTrainer",
    "FemurHeadUnetDeepLabV3Trainer",
    "FemurHeadUnetMobileNetV3Trainer",
    "FemurHeadUnetPlusPlusDeepLabV3Trainer",
    "FemurHeadUnetPlusPlusMobileNetV3Trainer",
    "FemurHeadUnetPlusPlusResNet34Trainer",
    "FemurHeadUnetPlusPlusResNet50Trainer",
    "FemurHeadUnetResNet34Trainer",
    "FemurHeadUnetResNet50Trainer",
    "FemurScratchTrainer",
    "FemurThreePlaneTrainer",
    "FemurUnetDeepLabV3Trainer",
    "FemurUnetMobileNetV3Trainer",
    "FemurUnetPlusPlusDeepLabV3Trainer",
    "FemurUnetPlusPlusMobileNetV3Trainer",
    "FemurUnetPlusPlusResNet34Trainer",
    "FemurUnetPlusPlusResNet50Trainer",
    "FemurUnetResNet34Trainer",
    "FemurUnetResNet50Trainer",
]
