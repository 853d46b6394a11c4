"""The record of a finished training: ``run.json`` in the folder of its fold."""

from __future__ import annotations

import math
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.atomic_files import write_json
from nnunet_femur.processes import peak_memory_mib

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

PACKAGES = ("nnunet_femur", "nnunetv2", "torch", "segmentation_models_pytorch", "numpy", "SimpleITK")
"""Packages whose versions are recorded."""

CURVES = {
    "train_loss": "train_losses",
    "validation_loss": "val_losses",
    "pseudo_dice": "mean_fg_dice",
    "learning_rate": "lrs",
}
"""Curves of a record, each with the name under which nnU-Net logs it; a value per epoch."""

_DIGITS = 6
"""Significant digits of the values of curves."""


def write_run_record(
    trainer: nnUNetTrainer, *, overwrite: bool, further: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """Write ``run.json`` of a training; of several processes, the first one writes.

    Args:
        trainer: The trainer after its last epoch.
        overwrite: True to replace an existing record.
        further: Further entries.

    Returns:
        The record; None if this process did not write it.
    """
    path = Path(trainer.output_folder) / "run.json"
    if trainer.local_rank != 0 or (path.exists() and not overwrite):
        return None
    record = run_record(trainer, command=sys.argv, further=further)
    write_json(path, record)
    return record


def run_record(
    trainer: nnUNetTrainer, *, command: Sequence[str], further: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the facts that are needed to repeat or to judge a training, as JSON content.

    Args:
        trainer: The trainer after its last epoch.
        command: The command line of the training.
        further: Further entries, which only this kind of trainer has.

    Returns:
        Trainer, plans, configuration, fold, command, recipe, precision, epochs, iterations, curves, parameters, device,
        platform, versions and the further entries. "seconds" adds up all epochs, also those before an interruption.
        "peak_memory_mib" is the peak of this process, so after an interruption that of the last part. "final_network"
        is "lowest_loss" if the training ends with the network of its lowest training loss, else "last". "curves" is a
        list with a value per epoch for each of :data:`CURVES`, and for "seconds"; None for a value that is not finite.
    """
    from nnunet_femur.networks.precision import training_precision, validation_precision

    return {
        "trainer": type(trainer).__name__,
        "plans": trainer.plans_manager.plans_name,
        "configuration": trainer.configuration_name,
        "fold": trainer.fold,
        "works_in_slices": trainer.works_in_slices,
        "ends_only": trainer.ends_only,
        "command": [Path(command[0]).name, *command[1:]],
        "recipe": trainer.recipe.as_dict(),
        "precision": {
            "training": training_precision(trainer.bare_network, trainer.device),
            "validation": validation_precision(trainer.bare_network, trainer.device),
        },
        "epochs_done": trainer.current_epoch,
        "epochs_planned": trainer.num_epochs,
        "iterations_per_epoch": trainer.num_iterations_per_epoch,
        "final_network": _final_network(trainer),
        "curves": curves_of(trainer),
        "parameters": sum(parameter.numel() for parameter in trainer.network.parameters()),
        "seconds": round(sum(_seconds(trainer)), 1),
        "peak_memory_mib": peak_memory_mib(),
        "peak_device_memory_mib": _peak_device_memory_mib(trainer),
        "device": _device_name(trainer),
        "processes": trainer.ranks,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        **(further or {}),
    }


def curves_of(trainer: nnUNetTrainer) -> dict[str, list[float | None]]:
    """Return the curves that nnU-Net logged, by the names of :data:`CURVES`, and the seconds of each epoch."""
    curves = {
        name: [_rounded(value) for value in trainer.logger.get_value(logged, step=None)]
        for name, logged in CURVES.items()
    }
    return {**curves, "seconds": [round(one, 2) for one in _seconds(trainer)]}


def _rounded(value: float) -> float | None:
    number = float(value)
    return float(f"{number:.{_DIGITS}g}") if math.isfinite(number) else None


def _final_network(trainer: nnUNetTrainer) -> str:
    keeps_lowest = getattr(trainer, "keeps_lowest_loss", False) and not trainer.disable_checkpointing
    return "lowest_loss" if keeps_lowest else "last"


def _seconds(trainer: nnUNetTrainer) -> list[float]:
    """Return the duration of each epoch in seconds."""
    starts = trainer.logger.get_value("epoch_start_timestamps", step=None)
    ends = trainer.logger.get_value("epoch_end_timestamps", step=None)
    return [float(end - start) for start, end in zip(starts, ends, strict=False)]


def _peak_device_memory_mib(trainer: nnUNetTrainer) -> int | None:
    import torch

    return round(torch.cuda.max_memory_allocated() / 2**20) if trainer.device.type == "cuda" else None


def _device_name(trainer: nnUNetTrainer) -> str:
    import torch

    return torch.cuda.get_device_name() if trainer.device.type == "cuda" else trainer.device.type
