"""Find the predictions of every method, and what is missing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.comparison.method_folder import MethodFolder, subfolders
from nnunet_femur.comparison.reference_masks import open_references
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from nnunet_femur.comparison.predictions import Predictions, Unscored

_DATASET = re.compile(r"Dataset\d{3}_.+")


@dataclass
class Found:
    """All predictions to compare.

    Attributes:
        predictions: By method, set and fold; of each method the validations come first.
        warnings: Problems, and what was left out, a sentence each.
        notes: Trainings and predictions that have not been run yet, a sentence each.
        unscored: Predictions that could not be scored.
    """

    predictions: list[Predictions] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unscored: list[Unscored] = field(default_factory=list)

    def add(self, method: MethodFolder) -> None:
        """Add everything found in a method's folder."""
        self.predictions += method.predictions
        self.warnings += method.warnings
        self.notes += method.notes


def discover(
    results: Path | None,
    *,
    raw: Path | None = None,
    reference: Path | None = None,
    methods: Mapping[str, Path] | None = None,
    in_slices: Collection[str] = (),
) -> Found:
    """Find the validations and test predictions of every method.

    Args:
        results: nnU-Net's results folder, a ``DatasetNNN_NAME`` folder in it, or the folder of one method; None to
            compare only `methods`.
        raw: nnU-Net's raw folder, as in :func:`~nnunet_femur.comparison.reference_masks.open_references`.
        reference: Folder of reference masks that replace those of the raw dataset.
        methods: Folders of further predictions by name of the method: masks named by case, or ``test`` and
            ``validation`` with such masks.
        in_slices: Names of methods that predict slice by slice, for results that do not record it.

    Raises:
        InputError: `results` or a method has another layout, `in_slices` names an unknown method, or no prediction has
            a reference.
        SetupError: The reference masks are not found (code "no-reference").
    """
    by_dataset = _method_folders(results) if results else {}
    found = Found()
    datasets = {}
    for folder, own in by_dataset.items():
        dataset = datasets[folder] = open_references(folder.name, results=folder.parent, raw=raw, reference=reference)
        prefix = f"{folder.name}/" if len(by_dataset) > 1 else ""
        for method in own:
            found.add(MethodFolder(dataset, method, f"{prefix}{method.name}", in_slices).search())
    if methods:
        if len(datasets) > 1:
            msg = f"{results}: contains several datasets. With --method, pass the folder of its dataset."
            raise InputError(msg, code="invalid-option")
        only = next(iter(datasets.values()), None)
        only = only or open_references(None, results=Path(), raw=raw, reference=reference)
        for name, folder in methods.items():
            _require_usable(name, folder, taken={one.method for one in found.predictions})
            found.add(MethodFolder(only, folder, name, in_slices).search_masks())
    if unknown := sorted({*in_slices} - {one.method for one in found.predictions}):
        msg = (
            f"--in-slices {unknown[0]}: no method has this name. Pass the name of a --method, or of a method's folder."
        )
        raise InputError(msg, code="invalid-option")
    found.unscored += [one for predictions in found.predictions for one in predictions.unscored]
    if not any(predictions.files for predictions in found.predictions):
        msg = (
            f"{results or ', '.join(map(str, (methods or {}).values()))}: contains no prediction to score. "
            + " ".join([*(one.reason for one in found.unscored), *found.warnings, *found.notes])
        )
        raise InputError(msg.strip(), code="no-predictions")
    found.warnings += [sentence for predictions in found.predictions for sentence in predictions.complaints()]
    return found


def _require_usable(name: str, folder: Path, *, taken: Collection[str]) -> None:
    if not name or "/" in name or name in taken:
        msg = f"--method {name}={folder}: the name must be unique, not empty, and without a slash."
        raise InputError(msg, code="invalid-option")
    if not folder.is_dir():
        msg = f"--method {name}={folder}: folder not found. Pass a folder of masks named by case."
        raise InputError(msg, code="not-found")


def _method_folders(results: Path) -> dict[Path, list[Path]]:
    """Return the folders of the methods by the folder of their dataset."""
    folder = results.resolve()
    if not folder.is_dir():
        msg = f"{results}: folder not found. Pass nnU-Net's results folder, or a part of it."
        raise InputError(msg, code="not-found")
    if _is_method(folder):
        return {folder.parent: [folder]}
    datasets = [folder] if _is_dataset(folder) else list(filter(_is_dataset, subfolders(folder)))
    found = {dataset: list(filter(_is_method, subfolders(dataset))) for dataset in datasets}
    found = {dataset: methods for dataset, methods in found.items() if methods}
    if not found:
        inside = folder / "nnUNet_results"
        hint = f"Did you mean {inside}?" if inside.is_dir() else "Pass nnU-Net's results folder, or a part of it."
        msg = f"{results}: contains no folder DatasetNNN_NAME/TRAINER__PLANS__CONFIGURATION. {hint}"
        raise InputError(msg, code="no-predictions")
    return found


def _is_dataset(folder: Path) -> bool:
    return _DATASET.fullmatch(folder.name) is not None


def _is_method(folder: Path) -> bool:
    return _is_dataset(folder.parent) and len([part for part in folder.name.split("__") if part]) == 3
