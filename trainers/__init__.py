"""The nnUNetTrainer subclasses that nnU-Net finds by name."""

from nnunet_femur.trainers.slices import FemurUnetResNet34Trainer
from nnunet_femur.trainers.volumes import FemurScratchTrainer

__all__ = ["FemurScratchTrainer", "FemurUnetResNet34Trainer"]
