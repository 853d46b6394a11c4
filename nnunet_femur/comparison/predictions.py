"""What one model predicted for one set of cases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.comparison.naming import predicts_in_slices
from nnunet_femur.errors import InputError
from nnunet_femur.volumes import volume_ending

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from nnunet_femur.comparison.dataset import Dataset


@dataclass(frozen=True)
class Predictions:
    """What one model of a method predicted for one set of cases.

    Attributes:
        dataset: Truth, images and patients of the cases.
        method: Folder of the method, ``TRAINER__PLANS__CONFIGURATION``, or the name that a user gave; with
            ``DatasetNNN_NAME/`` before it where several datasets are compared.
        set: ``test``; ``cv`` for the validation cases of folds 0-4; ``fixed`` for those of later folds.
        fold: Number of the fold; ``ensemble`` for a prediction of several folds; ``none`` for a method without.
        folder: Where the predictions lie.
        files: The predictions to score, by case.
        missing: Cases that ought to be there.
        extra: Predicted cases that do not belong to this set, or have no truth.
        seconds: Duration of the training in seconds, if known; of several models the mean.
    """

    dataset: Dataset
    method: str
    set: str
    fold: str
    folder: Path
    files: dict[str, Path]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    seconds: float | None

    @property
    def in_slices(self) -> bool:
        """Whether the method works slice by slice."""
        return predicts_in_slices(self.method)

    @property
    def fold_suffix(self) -> str:
        """The fold in words with a comma before it; empty for a method without folds."""
        return {"ensemble": ", ensemble", "none": ""}.get(self.fold, f", fold {self.fold}")

    @property
    def title(self) -> str:
        """Method, fold and set in words."""
        return f"{self.method}{self.fold_suffix}, {'test set' if self.set == 'test' else 'validation'}"

    def patient(self, case: str) -> str:
        """Patient of a case."""
        return self.dataset.patients.get(case, case)

    def complaints(self) -> Iterator[str]:
        """What is missing and what was left out, a sentence each."""
        if self.missing:
            total = len(self.missing) + len(self.files)
            missing = ", ".join(self.missing)
            yield f"{self.title}: {len(self.missing)} of {total} predictions missing: {missing}."
        labels, truth = ("labelsTs", self.dataset.test) if self.set == "test" else ("labelsTr", self.dataset.train)
        known = [case for case in self.extra if case in truth]
        unknown = [case for case in self.extra if case not in truth]
        if unknown:
            yield f"{self.title}: {len(unknown)} not scored, without truth in {labels}: {', '.join(unknown)}."
        if known:
            yield f"{self.title}: {len(known)} not scored, no validation cases of this fold: {', '.join(known)}."


def predicted_files(folder: Path) -> dict[str, Path]:
    """The volumes in a folder, by case; hidden files are none, and neither is nnU-Net's folder of probabilities.

    Raises:
        InputError: Two files are of the same case.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        ending = volume_ending(path)
        if ending is None or path.name.startswith("."):
            continue
        case = path.name[: -len(ending)]
        if case in files:
            msg = f"{path}: {files[case].name} predicts the same case. Keep one of them."
            raise InputError(msg)
        files[case] = path
    return files


def training_seconds(fold: Path) -> float | None:
    """Duration of a training in seconds from ``run.json`` in its folder; None if it is not recorded.

    Raises:
        InputError: ``run.json`` cannot be read.
    """
    path = fold / "run.json"
    if not path.is_file():
        return None
    try:
        seconds = json.loads(path.read_text(encoding="utf-8")).get("seconds")
        return None if seconds is None else float(seconds)
    except (ValueError, TypeError, AttributeError) as error:
        msg = f"{path}: is not the record of a training ({error}). Delete it, or copy it again."
        raise InputError(msg) from error


def folds_in_words(numbers: Sequence[int]) -> str:
    """Ascending numbers of folds as ``fold 0``, ``folds 0–4`` or ``folds 0, 2``."""
    if len(numbers) == 1:
        return f"fold {numbers[0]}"
    if list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"folds {numbers[0]}–{numbers[-1]}"
    return f"folds {', '.join(map(str, numbers))}"
