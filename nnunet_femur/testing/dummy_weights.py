"""Write dummy weights in the folder layout of TotalSegmentator's weights."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.atomic_files import write_json, write_text, written_beside
from nnunet_femur.dataset.nnunet_names import DATASET_FINGERPRINT, FULLRES, PLANS_JSON
from nnunet_femur.dataset.raw import DATASET_JSON
from nnunet_femur.errors import InputError
from nnunet_femur.progress import SILENT, Progress
from nnunet_femur.records import read_json
from nnunet_femur.testing.dummy_plans import (
    NOTE,
    OTHER_BONE,
    Case,
    intensity_statistics,
    make_dataset_json,
    make_fingerprint,
    make_plans,
    phantom_cases,
    read_case,
)
from nnunet_femur.testing.dummy_training import preprocess, train
from nnunet_femur.weights.models import CHECKPOINT, DUMMY_NOTE, crop_entry, femur_entry, open_model, other_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from nnunet_femur.testing.dummy_plans import PlansFormat
    from nnunet_femur.weights.models import ModelEntry, SourceModel

_FINE_MM = 2.0
"""Spacing below which the default patch is twice as large."""

RECORD = "dummy_model.json"
"""File with the settings and training cases of a dummy model, in the folder of its ``plans.json``."""


MODELS: dict[str, Callable[[], ModelEntry]] = {
    "femur": femur_entry,
    "fast": lambda: femur_entry(fast=True),
    "crop": crop_entry,
}
"""TotalSegmentator's models by name: the femur's at 1.5 mm, that of all classes at 3 mm, and that of the rough crop at
6 mm."""


def write_dummy_weights(
    weights_folder: str | Path,
    *,
    spacing_mm: float = 1.5,
    features: int = 8,
    plans_format: PlansFormat = "old",
    training: Iterable[Case | tuple[Any, Any, str]] | None = None,
    iterations: int = 300,
    patch: int | None = None,
    seed: int = 0,
    tasks: Sequence[str] = ("femur", "fast", "crop"),
    device: str = "cpu",
    progress: Progress = SILENT,
) -> SourceModel:
    """Write dummy weights in TotalSegmentator's layout, trained with nnU-Net's code on synthetic CTs.

    They are not TotalSegmentator's weights: they were not trained on patients, and must not be used on patients.

    A second call with the same arguments trains nothing. The function also creates the other folders that
    TotalSegmentator expects beside the models; they stay empty.

    Args:
        weights_folder: Folder for ``DatasetNNN_...``; created if missing. Set TOTALSEG_WEIGHTS_PATH to it.
        spacing_mm: Isotropic spacing of the femur model's input in mm. TotalSegmentator first resamples a CT to 1.5 mm;
            with another spacing in the plans, nnU-Net resamples once more.
        features: Number of features of the network's first stage; TotalSegmentator's has 32.
        plans_format: "old" or "new" description of the network in the plans.
        training: Cases as (CT, mask, side); CT and mask are files or images. None: eight phantoms of both sides.
        iterations: Number of training steps of each model, with two patches each; 0 for untrained weights.
        patch: Edge of the femur model's patch in voxels, a power of two from 16. None: 64 for a spacing below 2 mm,
            else 32.
        seed: Seed of the default phantoms, the initial weights and the patches.
        tasks: Models to write, from :data:`MODELS`.
        device: Device of PyTorch, such as "cpu" or "cuda".
        progress: Receives the progress.

    Returns:
        The first of the models.

    Raises:
        InputError: A model or side does not exist, or spacing, patch or iterations are out of range (code
            "invalid-option"); `training` is empty (code "no-cases"); or the folder contains weights that are not dummy
            weights (code "exists").

    Example:
        >>> cases = phantom_cases(1, spacing_mm=12.0)
        >>> model = write_dummy_weights(
        ...     "dummy-weights", spacing_mm=12.0, features=2, patch=16, iterations=0, training=cases, tasks=["femur"]
        ... )
        >>> model.is_dummy
        True
    """
    weights_folder = Path(weights_folder)
    _require(tasks, plans_format, spacing_mm, patch, iterations)
    cases = None if training is None else [_as_case(case) for case in training]
    if cases is not None and not cases:
        msg = "training must contain at least one case (CT, mask, side), got none."
        raise InputError(msg, code="no-cases")
    for dataset in other_parts():
        (weights_folder / dataset).mkdir(parents=True, exist_ok=True)
    models = []
    for task in tasks:
        entry = MODELS[task]()
        spacing = spacing_mm if task == "femur" else entry.spacing_mm
        edge = patch if patch is not None and task == "femur" else (64 if spacing < _FINE_MM else 32)
        record = {
            "spacing_mm": spacing,
            "features": features,
            "plans_format": plans_format,
            "iterations": iterations,
            "patch": edge,
            "seed": seed,
            "training": "phantoms" if cases is None else [_identity(case) for case in cases],
        }
        if not _is_done(weights_folder, entry, record):
            used = cases if cases is not None else phantom_cases(seed=seed, spacing_mm=max(2.0, spacing))
            _write_model(weights_folder, entry, record, used, device=device, progress=progress)
        models.append(open_model(weights_folder, entry))
    return models[0]


def _require(tasks: Sequence[str], plans_format: str, spacing_mm: float, patch: int | None, iterations: int) -> None:
    """Refuse arguments that are out of range (code "invalid-option")."""
    unknown = [task for task in tasks if task not in MODELS]
    problem = None
    if unknown or not tasks:
        problem = f"tasks must be some of {', '.join(MODELS)}, got {', '.join(unknown) or 'none'}."
    elif plans_format not in ("old", "new"):
        problem = f"plans_format must be old or new, got {plans_format!r}."
    elif not (np.isfinite(spacing_mm) and spacing_mm > 0):
        problem = f"spacing_mm must be above 0, got {spacing_mm}."
    elif iterations < 0:
        problem = f"iterations must be 0 or more, got {iterations}."
    elif patch is not None and (patch < 16 or patch & (patch - 1)):
        problem = f"patch must be a power of two from 16, got {patch}."
    if problem is not None:
        raise InputError(problem, code="invalid-option")


def _as_case(case: Case | tuple[Any, Any, str]) -> Case:
    ct, mask, side = case
    if side not in OTHER_BONE:
        msg = f"{ct}: side must be 'left' or 'right', got {side!r}."
        raise InputError(msg, code="invalid-option")
    return Case(ct, mask, "left" if side == "left" else "right")


def _identity(case: Case) -> list[Any]:
    """Return the file of a case and its time of change; of an image in memory, only the size."""
    if isinstance(case.ct, (str, Path)):
        return [str(case.ct), Path(case.ct).stat().st_mtime_ns, case.side]
    return [list(case.ct.GetSize()), case.side]


def _is_done(weights: Path, entry: ModelEntry, record: dict[str, Any]) -> bool:
    dataset = weights / entry.dataset
    if dataset.is_dir() and any(dataset.iterdir()) and not (dataset / DUMMY_NOTE).is_file():
        msg = f"{dataset}: contains weights that are not dummy weights. Give another folder."
        raise InputError(msg, code="exists")
    return read_json(weights / entry.folder / RECORD) == record


def _write_model(
    weights: Path, entry: ModelEntry, record: dict[str, Any], cases: Iterable[Case], *, device: str, progress: Progress
) -> None:
    """Train a dummy model on cases and write its files; its record is written last."""
    import torch

    read = [read_case(case, entry.classes) for case in cases]
    # TotalSegmentator's foreground is most of the body; here it is everything denser than fat.
    intensities = intensity_statistics(np.concatenate([hu[hu > -200][::7] for hu, _, _ in read]))
    shapes = [
        np.round(np.array(hu.shape) * spacing_mm / record["spacing_mm"]).astype(int) for hu, _, spacing_mm in read
    ]
    plans = make_plans(
        entry,
        spacing_mm=record["spacing_mm"],
        patch=record["patch"],
        features=record["features"],
        plans_format=record["plans_format"],
        intensities=intensities,
        median_shape_zyx=np.median(shapes, axis=0),
    )
    dataset_json = make_dataset_json(entry, cases=len(read))
    volumes = preprocess(read, plans, dataset_json)
    trained = train(
        volumes,
        plans,
        channels=entry.channels,
        iterations=record["iterations"],
        seed=record["seed"],
        device=device,
        progress=progress,
    )
    checkpoint = trained | {
        "init_args": {
            "plans": plans,
            "configuration": FULLRES,
            "fold": 0,
            "dataset_json": dataset_json,
            "device": torch.device("cpu"),
        },
        "trainer_name": entry.trainer,
        "inference_allowed_mirroring_axes": None,
    }
    shutil.rmtree(weights / entry.dataset, ignore_errors=True)
    folder = weights / entry.folder
    (folder / CHECKPOINT).parent.mkdir(parents=True)
    write_text(weights / entry.dataset / DUMMY_NOTE, NOTE + "\n")
    write_json(folder / PLANS_JSON, plans)
    write_json(folder / DATASET_JSON, dataset_json)
    fingerprint = make_fingerprint(
        shapes_zyx=[shape.tolist() for shape in shapes], spacing_mm=record["spacing_mm"], intensities=intensities
    )
    write_json(folder / DATASET_FINGERPRINT, fingerprint)
    with written_beside(folder / CHECKPOINT) as partial:
        torch.save(checkpoint, partial)
    # Written last: a folder without it is unfinished.
    write_json(folder / RECORD, record)
