"""Hyper-parameters of trainings that start from TotalSegmentator's weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nnunet_femur.training.recipe import Optimizer, Recipe, Schedule, refuse


@dataclass(frozen=True, kw_only=True)
class FinetuneRecipe(Recipe):
    """What the fine-tuning trainers can be told; docs/transfer.md has the measurements behind the defaults.

    Attributes:
        mirror: Whether left and right are exchanged in augmentation. The source knows no other mirror image of a
            body, and at prediction nothing is mirrored.
        warmup_epochs: Epochs at the beginning in which only the segmentation heads are trained.
        ramp_iterations: Iterations over which learning rates rise from zero, at the beginning and again when the
            body joins: Adam's first steps are as long as the learning rate, however small the gradient.
        body_factor: Learning rate of everything but the heads, as a part of ``learning_rate``.
        layer_decay: Factor by which the learning rate falls from each resolution of the decoder and encoder to the one
            before it, from the head backwards; 1 for the same everywhere.
        average_decay: Decay per iteration of the exponential moving average of the weights, which is what is
            validated, saved and predicted with; 0 for none.
        elastic_fraction: Fraction of patches that are deformed elastically in augmentation, 0 to 1.
    """

    family: ClassVar[str] = "finetune"

    epochs: int = 50
    optimizer: Optimizer = "Adam"
    learning_rate: float = 3e-4
    schedule: Schedule = "poly"
    weight_decay: float = 0.0
    checkpoint_every: int = 5
    warmup_epochs: int = 1
    ramp_iterations: int = 50
    body_factor: float = 1.0
    layer_decay: float = 1.0
    average_decay: float = 0.0
    elastic_fraction: float = 0.2

    def __post_init__(self) -> None:
        """Refuse values that would only fail, or silently misbehave, once the training runs."""
        super().__post_init__()
        for name in ("warmup_epochs", "ramp_iterations"):
            if getattr(self, name) < 0:
                refuse(f"{name} is {getattr(self, name)}, but must not be negative")
        for name in ("body_factor", "layer_decay", "elastic_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                refuse(f"{name} is {getattr(self, name)}, but lies between 0 and 1")
        if not 0 <= self.average_decay < 1:
            refuse(f"average_decay is {self.average_decay}, but lies between 0 and 1, and 1 would never learn")


@dataclass(frozen=True, kw_only=True)
class FinetunePaperRecipe(FinetuneRecipe):
    """The study's fine-tuning: a new last layer, everything trained from the first step, Adam 3e-4."""

    epochs: int = 20
    schedule: Schedule = "constant"
    warmup_epochs: int = 0
    ramp_iterations: int = 0
