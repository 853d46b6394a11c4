"""Trainers that start from TotalSegmentator's weights, under plans of ``nnfemur plan --from totalsegmentator``."""

from __future__ import annotations

from nnunet_femur.recipe.hyperparameters import FinetunePaperRecipe
from nnunet_femur.training.finetune.finetune_trainer import FinetuneTrainer


class FemurFinetuneTrainer(FinetuneTrainer):
    """TotalSegmentator's network with all rows of its head, from exactly where it stands."""


class FemurFinetunePaperTrainer(FinetuneTrainer):
    """The study's fine-tuning on consistent data: a new last layer, everything trained from the first step."""

    recipe_class = FinetunePaperRecipe
    keeps_heads = False
