"""Trainers of three-dimensional networks: from random weights, and from TotalSegmentator's."""

from __future__ import annotations

from nnunet_femur.recipe.hyperparameters import FinetunePaperRecipe
from nnunet_femur.training.base import FemurTrainer
from nnunet_femur.training.finetune.finetune_trainer import FinetuneTrainer


class FemurScratchTrainer(FemurTrainer):
    """The network of the plans, trained from random weights: nnU-Net's own training, with a recipe."""


class FemurFinetuneTrainer(FinetuneTrainer):
    """TotalSegmentator's network with all output channels of its segmentation heads; it starts at the same prediction.

    It needs plans of ``nnfemur plan --from totalsegmentator``.
    """


class FemurFinetunePaperTrainer(FinetuneTrainer):
    """The study's fine-tuning on consistent data: new segmentation heads, and all layers trained from the first step.

    It needs plans of ``nnfemur plan --from totalsegmentator``.
    """

    recipe_class = FinetunePaperRecipe
    keeps_heads = False
