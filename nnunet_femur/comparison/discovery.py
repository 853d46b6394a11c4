"""Find what every method predicted, and what is missing."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.comparison.predictions import RECORDS, Predictions, Unscored, folds_in_words, read_record
from nnunet_femur.comparison.reference_masks import Dataset, open_dataset
from nnunet_femur.comparison.traits import Traits, read_traits
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.sources import find_masks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from typing import Any

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
        unscored: Predictions that could not be scored.
    """

    predictions: list[Predictions] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unscored: list[Unscored] = field(default_factory=list)


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
        results: nnU-Net's results folder, a ``DatasetNNN_NAME`` folder in it, or the folder of one method; None if
            only `methods` are compared.
        raw: nnU-Net's raw folder with the reference; see :func:`~nnunet_femur.comparison.reference_masks.open_dataset`.
        reference: A folder of masks, in place of those of the raw dataset.
        methods: Folders of predictions by the name of their method: masks named by case, or ``test`` and
            ``validation`` with such masks.
        in_slices: Names of methods that work in slices, where their results do not record it.

    Raises:
        InputError: `results` or a method has another form, `in_slices` names no method, or nothing has a reference.
        SetupError: The reference masks are not found.
    """
    by_dataset = _method_folders(results) if results else {}
    found = Found()
    datasets = {}
    for folder, own in by_dataset.items():
        dataset = datasets[folder] = open_dataset(folder.name, results=folder.parent, raw=raw, reference=reference)
        prefix = f"{folder.name}/" if len(by_dataset) > 1 else ""
        for method in own:
            _Method(found, dataset, method, f"{prefix}{method.name}", in_slices).search()
    if methods:
        if len(datasets) > 1:
            msg = f"{results}: holds several datasets. Give the folder of the one that --method belongs to."
            raise InputError(msg)
        only = next(iter(datasets.values()), None) or open_dataset(None, results=Path(), raw=raw, reference=reference)
        for name, folder in methods.items():
            _add_named(found, only, name, folder, in_slices)
    if unknown := sorted({*in_slices} - {one.method for one in found.predictions}):
        msg = f"--in-slices {unknown[0]}: no method has this name. Use the name of a --method, or of a method's folder."
        raise InputError(msg)
    found.unscored += [one for predictions in found.predictions for one in predictions.unscored]
    if not any(predictions.files for predictions in found.predictions):
        msg = f"{results or ', '.join(map(str, (methods or {}).values()))}: holds no prediction to score. " + " ".join(
            [*(one.reason for one in found.unscored), *found.warnings, *found.notes]
        )
        raise InputError(msg.strip())
    found.warnings += [line for predictions in found.predictions for line in predictions.complaints()]
    return found


def _add_named(found: Found, dataset: Dataset, name: str, folder: Path, in_slices: Collection[str]) -> None:
    """Add the predictions of a method that a user named."""
    if not name or "/" in name or any(name == one.method for one in found.predictions):
        msg = f"--method {name}={folder}: needs a name without a slash that no other method has."
        raise InputError(msg)
    if not folder.is_dir():
        msg = f"--method {name}={folder}: there is no such folder. Give one that holds masks named by case."
        raise InputError(msg)
    method = _Method(found, dataset, folder, name, in_slices)
    parts = [part for part in ("validation", "test") if (folder / part).is_dir()]
    if parts:
        for part in parts:
            kind, cases = ("cv", dataset.train) if part == "validation" else ("test", dataset.test)
            method.add(kind, "none", folder / part, cases)
        return
    files = find_masks(folder).files
    if not files:
        msg = f"--method {name}={folder}: contains no masks. Give the folder that contains the masks themselves."
        raise InputError(msg)
    trained = dataset.listed and files.keys() & dataset.train.keys()
    if trained and not files.keys() & dataset.test.keys():
        method.add("cv", "none", folder, dataset.train)
    else:
        method.add("test", "none", folder, dataset.test)


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


def require_equal_cases(found: Found, *, intersect: bool) -> None:
    """See that methods are compared on the same cases, all of them predicted.

    Args:
        found: What was found; with `intersect`, predictions that not all methods have are taken out of it.
        intersect: Whether to go on with the cases that all have.

    Raises:
        InputError: Predictions are missing or the methods of a set rest on different cases, and it is not wanted to go
            on; or no case is left.
    """
    missing = [line for one in found.predictions for line in one.complaints() if one.missing and "missing:" in line]
    lacking = list(_lacking(found))
    if not missing and not lacking:
        return
    if not intersect:
        msg = (
            "Predictions are missing, or methods were given different cases:\n"
            + "\n".join(f"  {line}" for line in dict.fromkeys(missing + lacking))
            + "\nPredict them, or compare on the cases that all methods have with --intersect."
        )
        raise InputError(msg)
    shared = {key: set.intersection(*cases.values()) for key, cases in _cases_by_line(found).items()}
    for place, one in enumerate(found.predictions):
        kept = {case: path for case, path in one.files.items() if case in shared[_comparable(one)]}
        if left_out := sorted(one.files.keys() - kept.keys()):
            found.warnings.append(
                f"{one.title}: not scored, since not every method predicted them: {', '.join(left_out)}."
            )
        found.predictions[place] = replace(one, files=kept)
    if not all(shared.values()):
        msg = "The methods have no case in common:\n" + "\n".join(f"  {line}" for line in lacking)
        raise InputError(msg)


def comparable(found: Found, cases: Iterable[Unscored]) -> list[tuple[Predictions, set[str]]]:
    """Return for each of the predictions the cases that were not scored for it or for what it is compared with.

    Args:
        found: All predictions.
        cases: Predictions that were not scored.
    """
    lost: dict[tuple[str, str, str], set[str]] = {}
    for one in cases:
        lost.setdefault(_comparable(one), set()).add(one.case)
    return [(one, lost.get(_comparable(one), set())) for one in found.predictions]


def _comparable(one: Predictions | Unscored) -> tuple[str, str, str]:
    """What predictions must agree in to be compared: dataset, set, and of later folds the fold, since splits differ."""
    return one.method.rpartition("/")[0], one.set, one.fold if one.set == "fixed" else ""


def _cases_by_line(found: Found) -> dict[tuple[str, str, str], dict[str, set[str]]]:
    by_line: dict[tuple[str, str, str], dict[str, set[str]]] = {}
    for one in found.predictions:
        title = _title(one)
        if one.files or not one.refused:
            by_line.setdefault(_comparable(one), {}).setdefault(title, set()).update(one.files)
    return by_line


def _title(one: Predictions) -> str:
    pooled = one.set == "cv" and one.fold.isdecimal()
    return f"{one.method}, validation" if pooled else one.title


def _lacking(found: Found) -> Iterator[str]:
    # A refused prediction is reported as such, and does not stop the comparison.
    refused: dict[str, set[str]] = {}
    for one in found.predictions:
        refused.setdefault(_title(one), set()).update(one.refused)
    for lines in _cases_by_line(found).values():
        everything = set().union(*lines.values())
        for title, cases in lines.items():
            if lacks := sorted(everything - cases - refused.get(title, set())):
                yield f"{title}: lacks {', '.join(lacks)}, which others have."


@dataclass(frozen=True)
class _Method:
    found: Found
    dataset: Dataset
    folder: Path
    name: str
    in_slices: Collection[str] = ()

    @cached_property
    def records(self) -> dict[Path, dict[str, Any]]:
        """Content of the method's records by file; a broken one is a warning, and does not stop the comparison."""
        records = {}
        for path in (path for place in RECORDS for path in sorted(self.folder.glob(place))):
            try:
                records[path] = read_record(path)
            except InputError as error:
                self.found.warnings.append(str(error))
        return records

    @cached_property
    def traits(self) -> Traits:
        """Traits of the method; a note is added where they are not known."""
        traits = read_traits(self.folder, [*self.records.values()])
        if self.name in self.in_slices:
            return replace(traits, in_slices=True, known=True)
        if not traits.known:
            self.found.notes.append(
                f"{self.name}: its results do not record how it works, so the study's protocol scores it as a method "
                f"in volumes. If it works in slices, pass --in-slices {self.name}."
            )
        return traits

    def _seconds(self, folds: Iterable[Path]) -> float | None:
        """Mean duration of trainings in seconds, of those that are recorded."""
        found = [self.records.get(fold / "run.json", {}).get("seconds") for fold in folds]
        known = [float(one) for one in found if isinstance(one, int | float)]
        return sum(known) / len(known) if known else None

    def search(self) -> None:
        """Add what the method's folder holds."""
        folds = self._folds()
        everyone = {number: self._trained_on(number) for number in folds}
        for number in sorted(folds):
            self._validation(number, folds[number])
        tested = [
            self.add(
                "test",
                str(number),
                folds[number] / "test",
                self.dataset.test,
                folds[number],
                trained_on=everyone[number],
            )
            for number in sorted(folds)
        ]
        whole = "ensemble" if folds else "none"
        of_any: frozenset[str] = frozenset().union(*everyone.values())
        self.add("cv", whole, self.folder / "validation", self.dataset.train, *folds.values(), trained_on=of_any)
        tested.append(
            self.add("test", whole, self.folder / "test", self.dataset.test, *folds.values(), trained_on=of_any)
        )
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
            expected = self.dataset.train.keys() & find_masks(folder).files.keys()
            self.found.warnings.append(
                f"{self.name}: fold {number} is not in the dataset's splits_final.json, so it cannot be seen "
                "whether its validation is complete."
            )
        kind = "cv" if number < CV_FOLDS else "fixed"
        self.add(kind, str(number), folder, expected, fold, trained_on=self._trained_on(number))

    def _trained_on(self, number: int) -> frozenset[str]:
        return self.dataset.trained_on[number] if number < len(self.dataset.trained_on) else frozenset()

    def add(
        self,
        kind: str,
        fold: str,
        folder: Path,
        expected: Iterable[str],
        *trained: Path,
        trained_on: frozenset[str] = frozenset(),
    ) -> bool:
        """Add one folder of predictions, if it is there.

        Args:
            kind: Name of the set.
            fold: Number of the fold, ``ensemble`` or ``none``.
            folder: Where the predictions lie.
            expected: The cases that ought to be there.
            trained: Folders of the models that predicted them.
            trained_on: Cases that any of these models was trained on; their predictions are refused.
        """
        if not folder.is_dir():
            return False
        files, refused = find_masks(folder)
        refused |= {case: self.dataset.problems[case] for case in self.dataset.problems.keys() & files.keys()}
        refused |= {
            case: f"{path}: is a prediction of a case that {_model(fold)} was trained on. Remove it."
            for case, path in files.items()
            if case in trained_on
        }
        files = {case: path for case, path in files.items() if case not in refused}
        # Of a bare folder of masks it is not known which of them belong to this set.
        cases = set(expected) - self.dataset.problems.keys()
        if not self.dataset.listed:
            cases &= files.keys()
        self.found.predictions.append(
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
                traits=self.traits,
                refused=refused,
            )
        )
        return True


def _model(fold: str) -> str:
    return "one of the folds" if fold == "ensemble" else f"fold {fold}"
