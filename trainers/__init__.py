"""The nnUNetTrainer subclasses that nnU-Net finds by name."""

from nnunet_femur.trainers.slices import FemurUnetResNet34Trainer
from nnunet_femur.trainers.transfer import FemurFinetunePaperTrainer, FemurFinetuneTrainer
from nnunet_femur.trainers.volumes import FemurScratchTrainer

__all__ = ["FemurFinetunePaperTrainer", "FemurFinetuneTrainer", "FemurScratchTrainer", "FemurUnetResNet34Trainer"]
