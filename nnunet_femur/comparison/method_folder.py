"""The predictions in the folder of one method, and everything that is missing from it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from nnunet_femur.comparison.predictions import RECORDS, Predictions, Traits, folds_text, read_record, read_traits
from nnunet_femur.comparison.training_curves import read_curve
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.sources import find_masks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path
    from typing import Any

    from nnunet_femur.comparison.reference_masks import ReferenceMasks

CV_FOLDS = 5
"""Folds 0 to 4 cross-validate. Later folds are fixed splits of the same cases, which must not count twice."""


@dataclass
class MethodFolder:
    """A method's folder, searched by :meth:`search` (nnU-Net's layout) or :meth:`search_masks` (a folder of masks).

    Attributes:
        dataset: Reference masks of the cases.
        folder: The folder.
        name: Name of the method.
        in_slices: Names of methods that predict slice by slice, for results that do not record it.
        predictions: The predictions found, by set and fold.
        warnings: Problems, and what was left out, a sentence each.
        notes: Trainings and predictions that have not been run yet, a sentence each.
    """

    dataset: ReferenceMasks
    folder: Path
    name: str
    in_slices: Collection[str] = ()
    predictions: list[Predictions] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def search(self) -> MethodFolder:
        """Find validations and test predictions in nnU-Net's layout, such as ``fold_0/validation`` and ``test``."""
        folds = self._folds()
        everyone = {number: self._trained_on(number) for number in folds}
        for number in sorted(folds):
            self._validation(number, folds[number])
        test = self.dataset.test
        tested = [
            self._add("test", str(number), fold / "test", test, fold, trained_on=everyone[number])
            for number, fold in sorted(folds.items())
        ]
        whole = "ensemble" if folds else "none"
        of_any: frozenset[str] = frozenset().union(*everyone.values())
        self._add("cv", whole, self.folder / "validation", self.dataset.train, *folds.values(), trained_on=of_any)
        tested.append(self._add("test", whole, self.folder / "test", test, *folds.values(), trained_on=of_any))
        if test and not any(tested):
            self.notes.append(f"{self.name}: the test set is not predicted yet.")
        self._warn_of_repeats()
        absent = [number for number in range(min(CV_FOLDS, len(self.dataset.folds))) if number not in folds]
        if absent and any(number < CV_FOLDS for number in folds):
            self.notes.append(f"{self.name}: {folds_text(absent)} not trained yet.")
        return self

    def search_masks(self) -> MethodFolder:
        """Find the masks of a folder that a user named, or of ``validation`` and ``test`` in it.

        Raises:
            InputError: The folder contains no masks (code "no-predictions").
        """
        parts = [part for part in ("validation", "test") if (self.folder / part).is_dir()]
        for part in parts:
            kind, cases = ("cv", self.dataset.train) if part == "validation" else ("test", self.dataset.test)
            self._add(kind, "none", self.folder / part, cases)
        if parts:
            return self
        files = find_masks(self.folder).files
        if not files:
            msg = f"--method {self.name}={self.folder}: contains no masks. Pass the folder that contains the masks."
            raise InputError(msg, code="no-predictions")
        validated = self.dataset.listed and files.keys() & self.dataset.train.keys()
        if validated and not files.keys() & self.dataset.test.keys():
            self._add("cv", "none", self.folder, self.dataset.train)
        else:
            self._add("test", "none", self.folder, self.dataset.test)
        return self

    def _folds(self) -> dict[int, Path]:
        folds = {}
        for folder in subfolders(self.folder):
            number = folder.name.removeprefix("fold_")
            if number.isdecimal():
                folds[int(number)] = folder
            elif folder.name.startswith("fold_"):
                self.warnings.append(f"{self.name}: {folder.name} has no number, so its predictions are not scored.")
        return folds

    def _trained_on(self, number: int) -> frozenset[str]:
        folds = self.dataset.folds
        return frozenset(folds[number].train) if number < len(folds) else frozenset()

    def _validation(self, number: int, fold: Path) -> None:
        folder = fold / "validation"
        if self._records.get(self.folder / "run.json", {}).get("validated") is False:
            # Its validation cases have decided about the method, so their scores would be too good.
            return
        if not folder.is_dir():
            self.notes.append(f"{self.name}: fold {number} is not validated yet.")
            return
        expected: Iterable[str]
        if number < len(self.dataset.folds):
            expected = self.dataset.folds[number].val
        else:
            expected = self.dataset.train.keys() & find_masks(folder).files.keys()
            self.warnings.append(
                f"{self.name}: splits_final.json does not contain fold {number}, so it is unknown whether its "
                "validation is complete."
            )
        kind = "cv" if number < CV_FOLDS else "fixed"
        self._add(kind, str(number), folder, expected, fold, trained_on=self._trained_on(number))

    def _add(
        self,
        kind: str,
        fold: str,
        folder: Path,
        expected: Iterable[str],
        *trained: Path,
        trained_on: frozenset[str] = frozenset(),
    ) -> bool:
        """Add one folder of predictions; return False if it does not exist.

        Args:
            kind: Name of the set.
            fold: Number of the fold, ``ensemble`` or ``none``.
            folder: Folder of the predictions.
            expected: Cases that should be predicted.
            trained: Folders of the models that predicted them.
            trained_on: Cases that any of these models was trained on; their predictions are refused.
        """
        if not folder.is_dir():
            return False
        files, refused = find_masks(folder)
        refused |= {case: self.dataset.problems[case] for case in self.dataset.problems.keys() & files.keys()}
        refused |= {
            case: f"{path}: predicts a case that {_model_text(fold)} was trained on. Remove it."
            for case, path in files.items()
            if case in trained_on
        }
        files = {case: path for case, path in files.items() if case not in refused}
        cases = set(expected) - self.dataset.problems.keys()
        if not self.dataset.listed:
            # Without a raw dataset it is unknown which cases belong to this set.
            cases &= files.keys()
        self.predictions.append(
            Predictions(
                dataset=self.dataset,
                method=self.name,
                set=kind,
                fold=fold,
                folder=folder,
                files={case: path for case, path in files.items() if case in cases},
                missing=tuple(sorted(cases - files.keys() - refused.keys())),
                extra=tuple(sorted(files.keys() - cases)),
                seconds=self._seconds(trained),
                traits=self._traits,
                refused=refused,
            )
        )
        return True

    @cached_property
    def _records(self) -> dict[Path, dict[str, Any]]:
        """Content of the method's records by file; a damaged record adds a warning."""
        records = {}
        for path in (path for place in RECORDS for path in sorted(self.folder.glob(place))):
            try:
                records[path] = read_record(path)
            except InputError as error:
                self.warnings.append(str(error))
        return records

    @cached_property
    def _traits(self) -> Traits:
        """Traits of the method; a note is added where they are unknown."""
        traits = read_traits(self.folder, [*self._records.values()])
        if self.name in self.in_slices:
            return replace(traits, in_slices=True, known=True)
        if not traits.known:
            self.notes.append(
                f"{self.name}: its results do not record whether it predicts slices or volumes, so the study's "
                "protocol scores it as a method that predicts volumes. If it predicts slices, pass "
                f"--in-slices {self.name}."
            )
        return traits

    def _seconds(self, folds: Iterable[Path]) -> float | None:
        """Return the mean duration of the recorded or logged trainings in seconds."""
        found = [self._records.get(fold / "run.json", {}).get("seconds") for fold in folds]
        # nnU-Net's own trainers write no record, but a log.
        logged = [read_curve(self.name, fold).minutes for fold in folds] if not any(found) else []
        known = [float(one) for one in found if isinstance(one, int | float)]
        known += [60 * minutes for minutes in logged if minutes]
        return sum(known) / len(known) if known else None

    def _warn_of_repeats(self) -> None:
        counts = Counter(
            case
            for predictions in self.predictions
            if predictions.set == "cv" and predictions.fold.isdecimal()
            for case in predictions.files
        )
        if repeated := sorted(case for case, count in counts.items() if count > 1):
            self.warnings.append(
                f"{self.name}: validated in several folds, and counted once with the mean of their scores: "
                f"{', '.join(repeated)}."
            )


def _model_text(fold: str) -> str:
    return "one of the folds" if fold == "ensemble" else f"fold {fold}"


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, without hidden and unfinished ones (``*.partial``)."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(".") and path.suffix != ".partial"
    )
