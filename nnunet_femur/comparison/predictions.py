"""Predictions of one model for one set of cases."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from nnunet_femur.comparison.traits import Traits
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from nnunet_femur.comparison.reference_masks import ReferenceMasks

RECORDS = ("fold_*/run.json", "run.json", "validation/run.json", "test/run.json")
"""Places of a method's records, relative to its folder."""

VOLUMES = Traits()
"""Traits of a method that predicts volumes of whole bones."""


class Unscored(NamedTuple):
    """A prediction that could not be scored.

    Attributes:
        method: Its method, as in scores.csv.
        set: Its set.
        fold: Its fold.
        case: Its case.
        reason: The file, the problem and the fix.
    """

    method: str
    set: str
    fold: str
    case: str
    reason: str


@dataclass(frozen=True)
class Predictions:
    """Predictions of one model of a method for one set of cases.

    Attributes:
        dataset: Reference masks, images and patients of the cases.
        method: Folder of the method, ``TRAINER__PLANS__CONFIGURATION``, or the name that a user chose; with
            ``DatasetNNN_NAME/`` before it if several datasets are compared.
        set: ``test``; ``cv`` for the validation cases of folds 0 to 4; ``fixed`` for those of later folds.
        fold: Number of the fold; ``ensemble`` for a prediction of several folds; ``none`` for a method without folds.
        folder: Folder of the predictions.
        files: The predictions to score, by case.
        missing: Cases that should be predicted, but are not.
        extra: Predicted cases that do not belong to this set, or have no reference.
        seconds: Duration of the training in seconds, if known; the mean of several models.
        traits: Traits of the method.
        refused: Reasons, by case, for which an existing prediction must not be scored, such as a training case.
    """

    dataset: ReferenceMasks
    method: str
    set: str
    fold: str
    folder: Path
    files: dict[str, Path]
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    seconds: float | None = None
    traits: Traits = VOLUMES
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def unscored(self) -> tuple[Unscored, ...]:
        """The refused predictions."""
        return tuple(Unscored(self.method, self.set, self.fold, *one) for one in sorted(self.refused.items()))

    @property
    def fold_suffix(self) -> str:
        """The fold as text with a comma before it; empty for a method without folds."""
        return {"ensemble": ", ensemble", "none": ""}.get(self.fold, f", fold {self.fold}")

    @property
    def title(self) -> str:
        """Method, fold and set as text."""
        return f"{self.method}{self.fold_suffix}, {'test set' if self.set == 'test' else 'validation'}"

    def patient(self, case: str) -> str:
        """Return the patient of a case; the case itself if the dataset does not list it."""
        return self.dataset.patients.get(case, case)

    def complaints(self) -> Iterator[str]:
        """Yield what is missing and what was left out, a sentence each."""
        if self.missing:
            total = len(self.missing) + len(self.files)
            missing = ", ".join(self.missing)
            yield f"{self.title}: {len(self.missing)} of {total} predictions missing: {missing}."
        labels, reference = ("labelsTs", self.dataset.test) if self.set == "test" else ("labelsTr", self.dataset.train)
        known = [case for case in self.extra if case in reference]
        unknown = [case for case in self.extra if case not in reference]
        if unknown:
            yield f"{self.title}: {len(unknown)} not scored, without reference in {labels}: {', '.join(unknown)}."
        if known:
            yield f"{self.title}: {len(known)} not scored, not validation cases of this fold: {', '.join(known)}."


def read_record(path: Path) -> dict[str, Any]:
    """Return the content of a ``run.json``.

    Raises:
        InputError: The file is not the record of a training (code "invalid-file").
    """
    try:
        # Anything but an object fails here.
        return {**json.loads(path.read_text(encoding="utf-8"))}
    except (ValueError, TypeError, OSError) as error:
        msg = f"{path}: not the record of a training ({type(error).__name__}). Delete it, or copy it again."
        raise InputError(msg, code="invalid-file") from error


def folds_text(numbers: Sequence[int]) -> str:
    """Return ascending numbers of folds as ``fold 0``, ``folds 0–4`` or ``folds 0, 2``."""
    if len(numbers) == 1:
        return f"fold {numbers[0]}"
    if list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"folds {numbers[0]}–{numbers[-1]}"
    return f"folds {', '.join(map(str, numbers))}"
