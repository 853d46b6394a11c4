"""The record of a finished training: ``run.json`` in the folder of its fold."""

from __future__ import annotations

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


def write_run_record(trainer: nnUNetTrainer, *, overwrite: bool, further: Mapping[str, Any] | None = None) -> None:
    """Write ``run.json`` of a training; of several processes, the first one writes.

    Args:
        trainer: The trainer after its last epoch.
        overwrite: True to replace an existing record.
        further: Further entries.
    """
    path = Path(trainer.output_folder) / "run.json"
    if trainer.local_rank == 0 and (overwrite or not path.exists()):
        write_json(path, run_record(trainer, command=sys.argv, further=further))


def run_record(
    trainer: nnUNetTrainer, *, command: Sequence[str], further: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the facts that are needed to repeat or to judge a training, as JSON content.

    Args:
        trainer: The trainer after its last epoch.
        command: The command line of the training.
        further: Further entries, which only this kind of trainer has.

    Returns:
        Trainer, plans, configuration, fold, command, recipe, precision, epochs, iterations, parameters, device,
        platform, versions and the further entries. "seconds" adds up all epochs, also those before an interruption.
        "peak_memory_mib" is the peak of this process, so after an interruption that of the last part.
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
        "iterations_per_epoch": trainer.num_iterations_per_epoch,
        "parameters": sum(parameter.numel() for parameter in trainer.network.parameters()),
        "seconds": round(_seconds(trainer), 1),
        "peak_memory_mib": peak_memory_mib(),
        "peak_device_memory_mib": _peak_device_memory_mib(trainer),
        "device": _device_name(trainer),
        "processes": trainer.ranks,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        **(further or {}),
    }


def _seconds(trainer: nnUNetTrainer) -> float:
    starts = trainer.logger.get_value("epoch_start_timestamps", step=None)
    ends = trainer.logger.get_value("epoch_end_timestamps", step=None)
    return sum(end - start for start, end in zip(starts, ends, strict=False))


def _peak_device_memory_mib(trainer: nnUNetTrainer) -> int | None:
    import torch

    return round(torch.cuda.max_memory_allocated() / 2**20) if trainer.device.type == "cuda" else None


def _device_name(trainer: nnUNetTrainer) -> str:
    import torch

    return torch.cuda.get_device_name() if trainer.device.type == "cuda" else trainer.device.type
