"""The nnUNetTrainer subclasses that nnU-Net finds by name.

They only choose a recipe, an architecture and an encoder; :mod:`nnunet_femur.training` contains the training itself.
"""

from nnunet_femur.trainers.three_dimensional import (
    FemurFinetunePaperTrainer,
    FemurFinetuneTrainer,
    FemurScratchTrainer,
)
from nnunet_femur.trainers.two_dimensional import (
    FemurHeadUnetDeepLabV3Trainer,
    FemurHeadUnetMobileNetV3Trainer,
    FemurHeadUnetPlusPlusDeepLabV3Trainer,
    FemurHeadUnetPlusPlusMobileNetV3Trainer,
    FemurHeadUnetPlusPlusResNet34Trainer,
    FemurHeadUnetPlusPlusResNet50Trainer,
    FemurHeadUnetResNet34Trainer,
    FemurHeadUnetResNet50Trainer,
    FemurThreePlaneTrainer,
    FemurUnetDeepLabV3Trainer,
    FemurUnetMobileNetV3Trainer,
    FemurUnetPlusPlusDeepLabV3Trainer,
    FemurUnetPlusPlusMobileNetV3Trainer,
    FemurUnetPlusPlusResNet34Trainer,
    FemurUnetPlusPlusResNet50Trainer,
    FemurUnetResNet34Trainer,
    FemurUnetResNet50Trainer,
)

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
