"""Compare methods on the same cases only: refuse missing predictions, or leave out what not all methods have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.comparison.discovery import Found
    from nnunet_femur.comparison.predictions import Predictions, Unscored
    from nnunet_femur.comparison.scoring import Scored

Comparable = tuple[str, str, str]
"""Dataset, set and, of fixed splits, fold: predictions are compared only if they agree in all of them."""


def require_equal_cases(found: Found, *, intersect: bool) -> None:
    """Check that all methods predicted the same cases, and that none is missing.

    Args:
        found: All predictions; with `intersect`, those that not all methods have are removed.
        intersect: Go on with the cases that all methods have.

    Raises:
        InputError: Predictions are missing or the methods of a set have different cases, without `intersect`; or no
            case remains (code "no-predictions").
    """
    missing = [text for one in found.predictions for text in one.complaints() if one.missing and "missing:" in text]
    lacking = list(_lacking(found))
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
    for bad in scored.unscored:
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


def _comparable(one: Predictions | Unscored) -> Comparable:
    return one.method.rpartition("/")[0], one.set, one.fold if one.set == "fixed" else ""


def _cases_by_title(found: Found) -> dict[Comparable, dict[str, set[str]]]:
    by_title: dict[Comparable, dict[str, set[str]]] = {}
    for one in found.predictions:
        if one.files or not one.refused:
            by_title.setdefault(_comparable(one), {}).setdefault(_title(one), set()).update(one.files)
    return by_title


def _title(one: Predictions) -> str:
    pooled = one.set == "cv" and one.fold.isdecimal()
    return f"{one.method}, validation" if pooled else one.title


def _lacking(found: Found) -> Iterator[str]:
    # A refused prediction is reported as such, and does not stop the comparison.
    refused: dict[str, set[str]] = {}
    for one in found.predictions:
        refused.setdefault(_title(one), set()).update(one.refused)
    for by_title in _cases_by_title(found).values():
        everything = set().union(*by_title.values())
        for title, cases in by_title.items():
            if lacks := sorted(everything - cases - refused.get(title, set())):
                yield f"{title}: lacks {', '.join(lacks)}, which others have."
