"""Make trainers for tests, as ``nnUNetv2_train`` makes them, on the planned phantoms."""

from __future__ import annotations

import json
import os
from functools import cache
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import torch

PHANTOMS, TRANSFERRED = "Dataset001_Femur", "Dataset002_Femur"
"""Datasets with plans of their own, and with plans of ``nnfemur plan --from totalsegmentator``."""


def make_trainer(
    trainer: str | type,
    configuration: str = "3d_fullres",
    *,
    fold: Any = 0,
    dataset: str = PHANTOMS,
    plans_name: str = "nnUNetPlans",
    description: dict[str, Any] | None = None,
    batch_size_of_plans: int | None = None,
    **recipe: Any,
) -> Any:
    """Return a trainer that is not initialized.

    Args:
        trainer: Its name, which nnU-Net looks up, or its class.
        configuration: Configuration of the plans.
        fold: Number of the fold, or "all".
        dataset: The dataset in nnUNet_preprocessed.
        plans_name: Name of the plans.
        description: Changed entries of ``dataset.json``.
        batch_size_of_plans: Batch size in the plans, which trainers of volumes use; None: as planned.
        recipe: Hyper-parameters of this trainer.
    """
    trainer_class = find_trainer(trainer) if isinstance(trainer, str) else trainer
    folder = Path(os.environ["nnUNet_preprocessed"]) / dataset
    plans = json.loads((folder / f"{plans_name}.json").read_text())
    plans["continue_training"] = False
    changed = plans["configurations"][configuration]
    changed.setdefault("femur_recipe", {})[trainer_class.__name__] = recipe
    if batch_size_of_plans is not None:
        changed["batch_size"] = batch_size_of_plans
    written = json.loads((folder / "dataset.json").read_text())
    made = trainer_class(plans, configuration, fold, written | (description or {}), torch.device("cpu"))
    # A picture of each epoch takes seconds.
    made.logger.plot_progress_png = lambda *_: None
    return made


@cache
def find_trainer(name: str) -> type:
    """Return a trainer's class by nnU-Net's own look-up."""
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    return recursive_find_trainer_class_by_name(name)


class Threads:
    """Replaces the context of multiprocessing, so that nnU-Net writes files in threads.

    Processes would import nnU-Net again, which takes seconds each.
    """

    Pool = ThreadPool
