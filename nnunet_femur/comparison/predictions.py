"""Predictions of one model for one set of cases, and the traits and short names of their methods."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from nnunet_femur.dataset.raw import LABELS_TR, LABELS_TS
from nnunet_femur.errors import InputError
from nnunet_femur.recipe.trainer_names import TRAINERS
from nnunet_femur.records import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from nnunet_femur.comparison.reference_masks import ReferenceMasks


RECORDS = ("fold_*/run.json", "run.json", "validation/run.json", "test/run.json")
"""Places of a method's records, relative to its folder."""

DERIVED = ("Ensemble", "BestConfiguration", "Postprocessed")
"""Kinds of methods that were made from other methods; names of their folders begin with them."""

_STOCK_TRAINER = "nnUNetTrainer"
"""Beginning of the names of nnU-Net's own trainers, such as ``nnUNetTrainer_250epochs``."""

_STOCK_IN_VOLUMES = "TotalSegmentator"
"""A method of another package that predicts volumes."""

_OWN_CONFIGURATIONS = {"2d": True, "3d_fullres": False, "3d_lowres": False, "3d_cascade_fullres": False}
"""nnU-Net's configurations, with True for 2D patches; used if plans.json is missing."""


@dataclass(frozen=True)
class Traits:
    """Traits of a method.

    Attributes:
        in_slices: True if it predicts slice by slice; the study's protocol scores such methods differently.
        ends_only: True if it was trained on the ends of the femur only, so it does not predict whole femurs.
        known: True if its results record `in_slices`; other methods are assumed to predict volumes.
    """

    in_slices: bool = False
    ends_only: bool = False
    known: bool = True


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
        rater: True for the masks of a second reader, who is scored like a method, but never compared or ranked.
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
    rater: bool = False

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

    @property
    def method_folder(self) -> Path:
        """Folder of the method: that of its predictions, or one or two levels above it."""
        own = self.method.rpartition("/")[2]
        return next((path for path in (self.folder, *self.folder.parents[:2]) if path.name == own), self.folder)

    def patient(self, case: str) -> str:
        """Return the patient of a case; the case itself if the dataset does not list it."""
        return self.dataset.patients.get(case, case)

    def complaints(self) -> Iterator[str]:
        """Yield what is missing and what was left out, a sentence each."""
        if self.missing:
            total = len(self.missing) + len(self.files)
            missing = ", ".join(self.missing)
            yield f"{self.title}: {len(self.missing)} of {total} predictions missing: {missing}."
        labels, reference = (LABELS_TS, self.dataset.test) if self.set == "test" else (LABELS_TR, self.dataset.train)
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
        # Unpacking raises a TypeError for JSON that is not an object.
        return {**json.loads(path.read_text(encoding="utf-8"))}
    except (ValueError, TypeError, OSError) as error:
        msg = f"{path}: not the record of a training ({type(error).__name__}). Delete it, or copy it again."
        raise InputError(msg, code="invalid-file") from error


def read_traits(folder: Path, records: Sequence[Mapping[str, Any]]) -> Traits:
    """Return the traits of a method from its records or, for records of older versions, from its trainer and plans.

    Args:
        folder: The method's folder; nnU-Net names it ``TRAINER__PLANS__CONFIGURATION``.
        records: Content of its ``run.json`` files.
    """
    for record in records:
        if isinstance(in_slices := record.get("works_in_slices"), bool):
            return Traits(in_slices, ends_only=record.get("ends_only") is True)
    trainer, configuration = _trained_by(folder, records)
    own = TRAINERS.get(trainer)
    if own is not None and own.in_slices:
        return Traits(in_slices=True, ends_only=own.ends_only)
    if _patches_are_slices(folder, configuration):
        return Traits(in_slices=True)
    return Traits(known=own is not None or trainer.startswith(_STOCK_TRAINER) or trainer == _STOCK_IN_VOLUMES)


def method_names(methods: Iterable[str]) -> dict[str, str]:
    """Return short names for tables and figures, by method.

    Plans are left out if they are nnU-Net's default. Methods that would share a short name keep their own name, and so
    do methods that a user named.

    Args:
        methods: ``TRAINER__PLANS__CONFIGURATION``, with or without ``DatasetNNN_NAME/`` before it.

    Example:
        >>> method_names(["FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres", "mine"])
        {'FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres': 'FemurUnetResNet34 · 3d_fullres', 'mine': 'mine'}
    """
    short = {method: _short(method) for method in dict.fromkeys(methods)}
    counts = Counter((method.rpartition("/")[0], name) for method, name in short.items())
    return {
        method: name if counts[method.rpartition("/")[0], name] == 1 else method.rpartition("/")[2]
        for method, name in short.items()
    }


def folds_text(numbers: Sequence[int]) -> str:
    """Return ascending numbers of folds as ``fold 0``, ``folds 0–4`` or ``folds 0, 2``."""
    if len(numbers) == 1:
        return f"fold {numbers[0]}"
    if list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"folds {numbers[0]}–{numbers[-1]}"
    return f"folds {', '.join(map(str, numbers))}"


def _trained_by(folder: Path, records: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return trainer and configuration from the records, or from nnU-Net's name of the folder; empty if unknown."""
    for record in records:
        trainer = record.get("trainer") or record.get("method")
        if isinstance(trainer, str):
            return trainer, str(record.get("configuration", ""))
    parts = folder.name.split("__")
    return (parts[0], parts[2]) if len(parts) == 3 else ("", "")


def _patches_are_slices(folder: Path, configuration: str) -> bool:
    configurations = read_json(folder / "plans.json") or {}
    seen: set[str] = set()
    while configuration and configuration not in seen:
        seen.add(configuration)
        try:
            own = configurations["configurations"][configuration]
            if "patch_size" in own:
                return len(own["patch_size"]) == 2
            configuration = str(own["inherits_from"])
        except (KeyError, TypeError):
            return _OWN_CONFIGURATIONS.get(configuration, False)
    return False


def _short(method: str) -> str:
    name = method.rpartition("/")[2]
    if name.count("__") != 2:
        return name
    trainer, plans, configuration = name.split("__")
    parts = (trainer.removesuffix("Trainer") or trainer, plans, configuration)
    return " · ".join(part for part in parts if part != "nnUNetPlans")
