"""Plans of a femur dataset: nnU-Net's fingerprint, plans and preprocessing in one verb, with recipe and folds."""

from __future__ import annotations

import hashlib
import json
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nnunet_femur.environment import require
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.files import read_json, write_json
from nnunet_femur.folds import SPLITS_FILE, read_folds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PLANS_NAME = "nnUNetPlans"
"""nnU-Net's default, so that its commands find our plans without being told."""

RECORD = "femur_plan.json"
"""Written last into the preprocessed dataset: what it was made from. Without it, nothing there counts as finished."""

LOG = "femur_plan.log"
"""What nnU-Net printed while planning."""


@dataclass(frozen=True)
class Preset:
    """A size of network and training.

    Attributes:
        base_features: Features of the first stage of nnU-Net's network.
        largest_patch: Largest edge of a patch in voxels, for 3D and for 2D configurations; None for nnU-Net's choice
            of patch and batch.
        recipe: What differs from the defaults of :class:`~nnunet_femur.training.recipe.Recipe`, by family.
    """

    base_features: int = 32
    largest_patch: dict[int, int] | None = None
    recipe: dict[str, dict[str, Any]] = field(default_factory=dict)


_SMALL_TRAINING = {
    "validation_iterations": 2,
    "optimizer": "Adam",
    "schedule": "poly",
    "loss": "dice_cross_entropy",
    "augment": False,
    "mirror": False,
    "checkpoint_every": 1,
    "seed": 0,
}

PRESETS = {
    "default": Preset(),
    "small": Preset(
        base_features=8,
        largest_patch={3: 48, 2: 128},
        recipe={
            "volume": {**_SMALL_TRAINING, "learning_rate": 5e-3, "epochs": 8, "iterations_per_epoch": 20},
            "slice": {
                **_SMALL_TRAINING,
                "learning_rate": 1e-3,
                "epochs": 8,
                "iterations_per_epoch": 20,
                "batch_size": 8,
                "slice_size": [64, 64],
                "foreground_fraction": 0.7,
                "encoder_weights": None,
            },
        },
    ),
}
"""Sizes by name: "default" is nnU-Net's and the study's, "small" is for CPUs and demos."""


def plan_dataset(
    dataset_id: int,
    *,
    preset: str = "default",
    configurations: Sequence[str] = ("2d", "3d_fullres"),
    epochs: int | None = None,
    iterations: int | None = None,
    pretrained: bool = True,
    jobs: int = 2,
) -> Path:
    """Fingerprint, plan and preprocess a raw dataset; afterwards ``nnUNetv2_train`` runs as typed.

    A second call with the same input and options finds the work done and returns at once.

    Args:
        dataset_id: nnU-Net's dataset number.
        preset: One of :data:`PRESETS`.
        configurations: The configurations of the plans to preprocess.
        epochs: Epochs of every trainer; None leaves them to the preset.
        iterations: Iterations in an epoch of every trainer; None leaves them to the preset.
        pretrained: Whether the encoders of 2D networks start from pretrained weights, where the preset has any.
        jobs: Processes that preprocess.

    Returns:
        The preprocessed dataset's folder.

    Raises:
        SetupError: nnU-Net's folders are not set, or networks were trained on other folds of this dataset.
        InputError: The dataset, its folds, the preset or a configuration does not exist or is damaged.
    """
    if preset not in PRESETS:
        msg = f"There is no preset {preset!r}; choose one of {', '.join(PRESETS)}."
        raise InputError(msg)
    raw = find_dataset(require("nnUNet_raw"), dataset_id)
    preprocessed = require("nnUNet_preprocessed") / raw.name
    read_folds(raw / SPLITS_FILE, training_cases(raw))
    recipe = _recipe(PRESETS[preset], epochs=epochs, iterations=iterations, pretrained=pretrained)
    record = {
        "raw": _fingerprint_of_files(raw),
        "preset": preset,
        "configurations": list(configurations),
        "recipe": recipe,
    }
    if read_json(preprocessed / RECORD) == record:
        return preprocessed
    preprocessed.mkdir(exist_ok=True)
    (preprocessed / RECORD).unlink(missing_ok=True)
    _replace_folds(raw, preprocessed)
    with (preprocessed / LOG).open("w", encoding="utf-8") as log, redirect_stdout(log):
        _run_nnunet(dataset_id, preprocessed, PRESETS[preset], recipe, configurations, jobs=jobs)
    write_json(preprocessed / RECORD, record)
    return preprocessed


def find_dataset(folder: Path, dataset_id: int) -> Path:
    """The folder ``DatasetNNN_Name`` of this number.

    Raises:
        InputError: There is none, or more than one.
    """
    found = sorted(path for path in folder.glob(f"Dataset{dataset_id:03d}_*") if path.is_dir())
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        msg = (
            f"{folder}: there must be one dataset {dataset_id:03d}, but there is {names}. "
            f"Run: nnfemur convert SRC --dataset-id {dataset_id}"
        )
        raise InputError(msg)
    return found[0]


def training_cases(raw: Path) -> list[str]:
    """Identifiers of the cases of a raw dataset that are trained or validated on.

    Raises:
        InputError: The dataset has no readable ``dataset.json``.
    """
    description = read_json(raw / "dataset.json")
    if description is None:
        msg = f"{raw / 'dataset.json'}: missing or unreadable. Run nnfemur convert again."
        raise InputError(msg)
    ending = description["file_ending"]
    return sorted(path.name.removesuffix(ending) for path in (raw / "labelsTr").glob(f"[!.]*{ending}"))


def _recipe(
    preset: Preset, *, epochs: int | None, iterations: int | None, pretrained: bool
) -> dict[str, dict[str, Any]]:
    asked = {"epochs": epochs, "iterations_per_epoch": iterations}
    given = {key: value for key, value in asked.items() if value is not None}
    recipe = {family: {**preset.recipe.get(family, {}), **given} for family in ("volume", "slice")}
    if not pretrained:
        recipe["slice"]["encoder_weights"] = None
    return recipe


def _fingerprint_of_files(raw: Path) -> str:
    """Changes with any file of the dataset, by name, size or time of change."""
    digest = hashlib.sha256()
    for path in sorted(raw.rglob("*")):
        if path.is_file():
            stat = path.stat()
            digest.update(f"{path.relative_to(raw).as_posix()} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _replace_folds(raw: Path, preprocessed: Path) -> None:
    """Put the dataset's folds where the trainers read them; nnU-Net would stop with a bare AssertionError.

    Raises:
        SetupError: Networks were trained on other folds, so their validation cases may be training cases now.
    """
    current, new = read_json(preprocessed / SPLITS_FILE), read_json(raw / SPLITS_FILE)
    if current is not None and current != new:
        trained = sorted((require("nnUNet_results") / raw.name).glob("*/fold_*/checkpoint_*.pth"))
        if trained:
            folder = require("nnUNet_results") / raw.name
            msg = (
                f"{folder}: holds networks that were trained on other folds than {raw / SPLITS_FILE} has now. "
                "Move that folder away, or convert with the seed that it was trained under."
            )
            raise SetupError(msg)
    write_json(preprocessed / SPLITS_FILE, new)


def _run_nnunet(
    dataset_id: int,
    preprocessed: Path,
    preset: Preset,
    recipe: dict[str, dict[str, Any]],
    configurations: Sequence[str],
    *,
    jobs: int,
) -> None:
    import os

    # Planning sets this number of threads and cannot take the 0 that is right for training on a CPU.
    if os.environ.get("nnUNet_n_proc_DA") == "0":
        os.environ["nnUNet_n_proc_DA"] = "1"
    from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet

    from nnunet_femur.training.recipe import RECIPE_KEY

    nnunet.extract_fingerprint_dataset(dataset_id, num_processes=jobs, verbose=False)
    # nnU-Net's planner would keep configurations of earlier plans that ours do not have.
    plans_file = preprocessed / f"{PLANS_NAME}.json"
    plans_file.unlink(missing_ok=True)
    plans = _planner(preset)(dataset_id).plan_experiment()
    missing = [name for name in configurations if name not in plans["configurations"]]
    if missing:
        msg = f"{plans_file}: nnU-Net planned no {', '.join(missing)}, but {', '.join(plans['configurations'])}."
        raise InputError(msg)
    plans = json.loads(plans_file.read_text(encoding="utf-8"))
    for configuration in plans["configurations"].values():
        configuration[RECIPE_KEY] = recipe
    write_json(plans_file, plans)
    nnunet.preprocess_dataset(dataset_id, PLANS_NAME, tuple(configurations), num_processes=(jobs,))


def _planner(preset: Preset) -> type:
    """nnU-Net's planner, held to the size of a preset."""
    import numpy as np
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner

    if preset.largest_patch is None:
        return ExperimentPlanner
    largest_patch, base_features = preset.largest_patch, preset.base_features

    class SmallPlanner(ExperimentPlanner):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.UNet_base_num_features = base_features
            # A small patch is wanted, so there is no need of a coarser stage that sees more.
            self.lowres_creation_threshold = 0

        def get_plans_for_configuration(self, spacing: Any, median_shape: Any, *args: Any) -> dict:
            # nnU-Net never plans a patch larger than the median image, so a smaller one bounds the patch.
            bounded = np.minimum(median_shape, largest_patch[len(spacing)])
            plan = super().get_plans_for_configuration(spacing, bounded, *args)
            plan["median_image_size_in_voxels"] = median_shape
            plan["batch_size"] = self.UNet_min_batch_size
            return plan

    return SmallPlanner
