"""Find what every method predicted, and what is missing."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nnunet_femur.comparison.dataset import Dataset, open_dataset
from nnunet_femur.comparison.predictions import Predictions, folds_in_words, predicted_files, training_seconds
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CV_FOLDS = 5
"""Folds 0-4 cross-validate; later ones are fixed splits of the same cases, and must not count twice."""

_DATASET = re.compile(r"Dataset\d{3}_.+")


@dataclass
class Found:
    """All predictions below a folder.

    Attributes:
        predictions: By method, set and fold; within the method validation comes first.
        warnings: What is wrong with them, and what was left out.
        notes: What has not been run yet.
    """

    predictions: list[Predictions] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def discover(results: Path, *, raw: Path | None = None) -> Found:
    """Find the validations and test predictions of every method.

    Args:
        results: nnU-Net's results folder, a ``DatasetNNN_NAME`` folder in it, or the folder of one method.
        raw: nnU-Net's raw folder with the truth; see :func:`~nnunet_femur.comparison.dataset.open_dataset`.

    Raises:
        InputError: `results` is none of these, or holds no prediction with a truth.
        SetupError: The truth is not found.
    """
    by_dataset = _method_folders(results)
    found = Found()
    for folder, methods in by_dataset.items():
        dataset = open_dataset(folder.name, results=folder.parent, raw=raw)
        prefix = f"{folder.name}/" if len(by_dataset) > 1 else ""
        for method in methods:
            _Method(found, dataset, method, f"{prefix}{method.name}").search()
    if not any(predictions.files for predictions in found.predictions):
        msg = f"{results}: holds no prediction to score. " + " ".join(found.warnings + found.notes)
        raise InputError(msg.strip())
    found.warnings += [line for predictions in found.predictions for line in predictions.complaints()]
    return found


def _method_folders(results: Path) -> dict[Path, list[Path]]:
    folder = results.resolve()
    if not folder.is_dir():
        msg = f"{results}: there is no such folder. Give nnU-Net's results folder, or a part of it."
        raise InputError(msg)
    if _is_method(folder):
        return {folder.parent: [folder]}
    datasets = [folder] if _is_dataset(folder) else list(filter(_is_dataset, _folders(folder)))
    found = {dataset: list(filter(_is_method, _folders(dataset))) for dataset in datasets}
    found = {dataset: methods for dataset, methods in found.items() if methods}
    if not found:
        inside = folder / "nnUNet_results"
        hint = f"Did you mean {inside}?" if inside.is_dir() else "Give nnU-Net's results folder, or a part of it."
        msg = f"{results}: holds no DatasetNNN_NAME/TRAINER__PLANS__CONFIGURATION folder. {hint}"
        raise InputError(msg)
    return found


def _folders(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(".") and path.suffix != ".partial"
    )


def _is_dataset(folder: Path) -> bool:
    return _DATASET.fullmatch(folder.name) is not None


def _is_method(folder: Path) -> bool:
    return _is_dataset(folder.parent) and len([part for part in folder.name.split("__") if part]) == 3


@dataclass(frozen=True)
class _Method:
    found: Found
    dataset: Dataset
    folder: Path
    name: str

    def search(self) -> None:
        """Add what the method's folder holds."""
        folds = self._folds()
        for number in sorted(folds):
            self._validation(number, folds[number])
        tested = [
            self._add("test", str(number), folds[number] / "test", self.dataset.test, folds[number])
            for number in sorted(folds)
        ]
        whole = "ensemble" if folds else "none"
        self._add("cv", whole, self.folder / "validation", self.dataset.train, *folds.values())
        tested.append(self._add("test", whole, self.folder / "test", self.dataset.test, *folds.values()))
        if self.dataset.test and not any(tested):
            self.found.notes.append(f"{self.name}: the test set is not predicted yet.")
        self._warn_of_repeats()
        absent = [number for number in range(min(CV_FOLDS, len(self.dataset.folds))) if number not in folds]
        if absent and any(number < CV_FOLDS for number in folds):
            self.found.notes.append(f"{self.name}: {folds_in_words(absent)} not trained yet.")

    def _warn_of_repeats(self) -> None:
        counts = Counter(
            case
            for predictions in self.found.predictions
            if predictions.method == self.name and predictions.set == "cv" and predictions.fold.isdecimal()
            for case in predictions.files
        )
        if repeated := sorted(case for case, count in counts.items() if count > 1):
            self.found.warnings.append(
                f"{self.name}: validated in several folds, and counted once with the mean of their scores: "
                f"{', '.join(repeated)}."
            )

    def _folds(self) -> dict[int, Path]:
        folds = {}
        for folder in _folders(self.folder):
            number = folder.name.removeprefix("fold_")
            if number.isdecimal():
                folds[int(number)] = folder
            elif folder.name.startswith("fold_"):
                self.found.warnings.append(
                    f"{self.name}: {folder.name} is not the number of a fold, so what it holds is not scored."
                )
        return folds

    def _validation(self, number: int, fold: Path) -> None:
        folder = fold / "validation"
        if not folder.is_dir():
            self.found.notes.append(f"{self.name}: fold {number} is not validated yet.")
            return
        if number < len(self.dataset.folds):
            expected: Iterable[str] = self.dataset.folds[number]
        else:
            expected = self.dataset.train.keys() & predicted_files(folder).keys()
            self.found.warnings.append(
                f"{self.name}: fold {number} is not in the dataset's splits_final.json, so it cannot be seen "
                "whether its validation is complete."
            )
        kind = "cv" if number < CV_FOLDS else "fixed"
        self._add(kind, str(number), folder, expected, fold)

    def _add(self, kind: str, fold: str, folder: Path, expected: Iterable[str], *trained: Path) -> bool:
        if not folder.is_dir():
            return False
        cases = set(expected)
        files = predicted_files(folder)
        seconds = [duration for path in trained if (duration := training_seconds(path)) is not None]
        self.found.predictions.append(
            Predictions(
                dataset=self.dataset,
                method=self.name,
                set=kind,
                fold=fold,
                folder=folder,
                files={case: path for case, path in files.items() if case in cases},
                missing=tuple(sorted(cases - files.keys())),
                extra=tuple(sorted(files.keys() - cases)),
                seconds=sum(seconds) / len(seconds) if seconds else None,
            )
        )
        return True
