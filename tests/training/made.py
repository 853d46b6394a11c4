"""Trainers of the tests' own classes on the planned phantoms."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

if TYPE_CHECKING:
    from nnunet_femur.training.slices.slice_trainer import SliceTrainer

DATASET = "Dataset001_Femur"

Trainer = TypeVar("Trainer", bound="SliceTrainer")


def made(trainer_class: type[Trainer], configuration: str, **recipe: Any) -> Trainer:
    """An initialized trainer with changes of its family's recipe."""
    preprocessed = Path(os.environ["nnUNet_preprocessed"]) / DATASET
    plans = json.loads((preprocessed / "nnUNetPlans.json").read_text())
    plans["continue_training"] = False
    plans["configurations"][configuration]["femur_recipe"]["slice"] |= recipe
    description = json.loads((preprocessed / "dataset.json").read_text())
    trainer = trainer_class(plans, configuration, 0, description, torch.device("cpu"))
    trainer.initialize()
    return trainer
