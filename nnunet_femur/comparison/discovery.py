"""Find the predictions of every method, and keep the cases that can be compared."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.comparison.method_folder import MethodFolder, subfolders
from nnunet_femur.comparison.reference_masks import open_references
from nnunet_femur.comparison.repeated_methods import repeated_methods
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from nnunet_femur.comparison.predictions import Predictions, Unscored
    from nnunet_femur.comparison.scoring import Scored


_DATASET = re.compile(r"Dataset\d{3}_.+")

Comparable = tuple[str, str, str]
"""Dataset, set and, of fixed splits, fold: predictions are compared only if they agree in all of them."""


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
    without: Collection[str] = (),
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
        without: Names of methods in `results` to leave out.

    Raises:
        InputError: `results` or a method has another layout, `in_slices` or `without` names an unknown method, or no
            prediction has a reference.
        SetupError: The reference masks are not found (code "no-reference").
    """
    by_dataset = _method_folders(results) if results else {}
    found = Found()
    datasets = {}
    left_out = set()
    for folder, own in by_dataset.items():
        dataset = datasets[folder] = open_references(folder.name, results=folder.parent, raw=raw, reference=reference)
        prefix = f"{folder.name}/" if len(by_dataset) > 1 else ""
        for method in own:
            if method.name in without:
                left_out.add(method.name)
                continue
            found.add(MethodFolder(dataset, method, f"{prefix}{method.name}", in_slices).search())
    if methods:
        if len(datasets) > 1:
            msg = f"{results}: contains several datasets. With --method, pass the folder of its dataset."
            raise InputError(msg, code="invalid-option")
        only = next(iter(datasets.values()), None)
        only = only or open_references(None, results=Path(), raw=raw, reference=reference)
        for name, folder in methods.items():
            require_usable("--method", name, folder, taken={one.method for one in found.predictions})
            found.add(MethodFolder(only, folder, name, in_slices).search_masks())
    if unknown := sorted({*without} - left_out):
        msg = f"--without {unknown[0]}: no method has this name. Pass the name of a method's folder."
        raise InputError(msg, code="invalid-option")
    found.notes += [f"{name}: left out, as --without requests." for name in sorted(left_out)]
    if unknown := sorted({*in_slices} - {one.method for one in found.predictions}):
        msg = (
            f"--in-slices {unknown[0]}: no method has this name. Pass the name of a --method, or of a method's folder."
        )
        raise InputError(msg, code="invalid-option")
    _leave_out_repeats(found)
    found.unscored += [one for predictions in found.predictions for one in predictions.unscored]
    if not any(predictions.files for predictions in found.predictions):
        msg = (
            f"{results or ', '.join(map(str, (methods or {}).values()))}: contains no prediction to score. "
            + " ".join([*(one.reason for one in found.unscored), *found.warnings, *found.notes])
            + " Predict the cases of the reference masks first, or pass the reference masks with --raw."
        )
        raise InputError(msg.strip(), code="no-predictions")
    found.warnings += [sentence for predictions in found.predictions for sentence in predictions.complaints()]
    return found


def _leave_out_repeats(found: Found) -> None:
    """Leave out selections whose masks are those of another method, which tests would count twice."""
    repeated = repeated_methods(found.predictions)
    found.predictions = [one for one in found.predictions if one.method not in repeated]
    found.notes += [
        f"{method}: its masks are those of {other}, so it is not compared a second time."
        for method, other in repeated.items()
    ]


def require_equal_cases(found: Found, *, intersect: bool) -> None:
    """Check that all methods predicted the same cases, and that none is missing.

    Args:
        found: All predictions; with `intersect`, cases that a method lacks are removed.
        intersect: Go on with the cases that all methods have.

    Raises:
        InputError: Predictions are missing or the methods of a set have different cases, without `intersect`; or no
            case remains (code "no-predictions").
    """
    missing = [text for one in found.predictions for text in one.complaints() if one.missing and "missing:" in text]
    lacking = list(_missing_cases(found))
    if not missing and not lacking:
        return
    if not intersect:
        msg = (
            "Predictions are missing, or methods have different cases:\n"
            + "\n".join(f"  {text}" for text in dict.fromkeys(missing + lacking))
            + "\nPredict the missing cases, or compare on the cases that all methods have with --intersect."
        )
        raise InputError(msg, code="no-predictions")
    shared = {key: set.intersection(*cases.values()) for key, cases in _cases_by_title(found).items()}
    for place, one in enumerate(found.predictions):
        kept = {case: path for case, path in one.files.items() if case in shared[_comparable(one)]}
        if left_out := sorted(one.files.keys() - kept.keys()):
            found.warnings.append(
                f"{one.title}: not scored, because not every method predicted them: {', '.join(left_out)}."
            )
        found.predictions[place] = replace(one, files=kept)
    if not all(shared.values()):
        msg = "The methods have no case in common:\n" + "\n".join(f"  {text}" for text in lacking)
        raise InputError(msg, code="no-predictions")


def leave_out_unscored(found: Found, scored: Scored, *, everywhere: bool) -> Scored:
    """Remove the predictions that could not be scored.

    Args:
        found: All predictions; those that could not be scored are moved to :attr:`Found.unscored`.
        scored: The scores.
        everywhere: Remove the same cases of the other methods, too.

    Returns:
        The scores of the remaining predictions.
    """
    lost: dict[Comparable, set[str]] = {}
    # A mask of a second reader that cannot be scored costs no method its case.
    for bad in (bad for bad in scored.unscored if bad.method not in scored.raters):
        lost.setdefault(_comparable(bad), set()).add(bad.case)
    for place, one in enumerate(found.predictions):
        mine = {
            bad.case for bad in scored.unscored if (bad.method, bad.set, bad.fold) == (one.method, one.set, one.fold)
        }
        gone = lost.get(_comparable(one), set()) if everywhere else mine
        kept = {case: path for case, path in one.files.items() if case not in gone}
        if left_out := sorted(one.files.keys() - kept.keys() - mine):
            found.warnings.append(
                f"{one.title}: not compared, because not every method could be scored on them: {', '.join(left_out)}."
            )
        found.predictions[place] = replace(one, files=kept)
    found.unscored += scored.unscored
    if not (everywhere and scored.unscored):
        return scored
    return scored.only({(one.method, one.set, one.fold, case) for one in found.predictions for case in one.files})


def require_usable(option: str, name: str, folder: Path, *, taken: Collection[str]) -> None:
    """Check the name and the folder of predictions that a user named.

    Args:
        option: The option of the command line, for messages.
        name: The name.
        folder: The folder.
        taken: Names of all other methods.

    Raises:
        InputError: The name is taken or invalid (code "invalid-option"), or the folder does not exist (code
            "not-found").
    """
    if not name or "/" in name or name in taken:
        msg = f"{option} {name}={folder}: the name must be unique, not empty, and without a slash."
        raise InputError(msg, code="invalid-option")
    if not folder.is_dir():
        msg = f"{option} {name}={folder}: folder not found. Pass a folder of masks named by case."
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


def _comparable(one: Predictions | Unscored) -> Comparable:
    return one.method.rpartition("/")[0], one.set, one.fold if one.set == "fixed" else ""


def _missing_cases(found: Found) -> Iterator[str]:
    """Yield the cases that a method lacks and others of its set have, a sentence each."""
    # A refused prediction is reported as such, and does not stop the comparison.
    refused: dict[str, set[str]] = {}
    for one in found.predictions:
        refused.setdefault(_title(one), set()).update(one.refused)
    for by_title in _cases_by_title(found).values():
        everything = set().union(*by_title.values())
        for title, cases in by_title.items():
            if lacks := sorted(everything - cases - refused.get(title, set())):
                yield f"{title}: lacks {', '.join(lacks)}, which others have."


def _cases_by_title(found: Found) -> dict[Comparable, dict[str, set[str]]]:
    """Return the cases of each method by its title, in groups that can be compared."""
    by_title: dict[Comparable, dict[str, set[str]]] = {}
    for one in found.predictions:
        if one.files or not one.refused:
            by_title.setdefault(_comparable(one), {}).setdefault(_title(one), set()).update(one.files)
    return by_title


def _title(one: Predictions) -> str:
    """Return the title of predictions; all folds of a cross-validation share one."""
    pooled = one.set == "cv" and one.fold.isdecimal()
    return f"{one.method}, validation" if pooled else one.title
