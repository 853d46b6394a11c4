"""Masks of second readers: which of them are scored, and the methods' scores against them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nnunet_femur.comparison.discovery import require_usable
from nnunet_femur.comparison.grouping import Measure
from nnunet_femur.comparison.predictions import Predictions
from nnunet_femur.comparison.scoring import score_predictions
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.sources import find_masks
from nnunet_femur.progress import SILENT, Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from nnunet_femur.comparison.discovery import Found
    from nnunet_femur.comparison.score_cache import ScoreCache
    from nnunet_femur.comparison.scoring import Scored
    from nnunet_femur.evaluation import Scoring

BESIDE = tuple(Measure("volume", "all", "whole", metric) for metric in ("dice", "hd95"))
"""Measures in which methods are compared with a second reader."""

_NAMED = 5
"""Largest number of cases that a sentence names."""


def add_raters(found: Found, raters: Mapping[str, Path]) -> None:
    """Add the masks of second readers to the predictions, for the cases that a method predicted.

    Cases that a reader lacks are counted in a note, and are no reason to refuse the comparison.

    Args:
        found: All predictions, with the cases on which methods are compared.
        raters: Folders of masks named by case, by name of the reader.

    Raises:
        InputError: There are several datasets, or a name is taken (code "invalid-option"), a folder does not exist
            (code "not-found") or contains no mask of a compared case (code "no-predictions").
    """
    if not raters:
        return
    methods = list(found.predictions)
    if len({one.dataset.folder for one in methods}) > 1:
        msg = "--rater: the results contain several datasets. Pass the folder of the reader's dataset."
        raise InputError(msg, code="invalid-option")
    by_set: dict[tuple[str, str], list[Predictions]] = {}
    for one in methods:
        if one.files:
            by_set.setdefault((one.set, one.fold if one.set == "fixed" else "none"), []).append(one)
    for name, folder in raters.items():
        require_usable("--rater", name, folder, taken={one.method for one in found.predictions})
        added = [_of_set(name, folder, key, of_set) for key, of_set in by_set.items()]
        if not any(one.files or one.refused for one in added):
            msg = f"--rater {name}={folder}: contains no mask of a compared case. Name the masks by case."
            raise InputError(msg, code="no-predictions")
        for one in added:
            found.predictions.append(replace(one, missing=()))
            found.unscored += one.unscored
            if one.missing:
                found.notes.append(_note(one))


def _of_set(name: str, folder: Path, key: tuple[str, str], methods: Sequence[Predictions]) -> Predictions:
    """Return the masks of a reader for the cases that methods predicted in one set; `missing` are the other cases."""
    kind, fold = key
    cases = {case for one in methods for case in one.files}
    files, refused = find_masks(folder)
    return Predictions(
        dataset=methods[0].dataset,
        method=name,
        set=kind,
        fold=fold,
        folder=folder,
        files={case: path for case, path in files.items() if case in cases},
        missing=tuple(sorted(cases - files.keys() - refused.keys())),
        refused={case: reason for case, reason in refused.items() if case in cases},
        rater=True,
    )


def _note(one: Predictions) -> str:
    named = ", ".join(one.missing[:_NAMED]) + (", ..." if len(one.missing) > _NAMED else "")
    total = len(one.files) + len(one.missing) + len(one.refused)
    return f"{one.title}: second reader with masks of {len(one.files)} of {total} cases; without {named}."


def copies_of_reference(scored: Scored) -> list[str]:
    """Return a sentence for each second reader whose masks all equal the reference, which is a wrong folder."""
    scores = scored.scores
    found = []
    for name in sorted(scored.raters):
        rows = scores[(scores["method"] == name) & (scores["region"] == "whole") & (scores["metric"] == "dice")]
        dice = rows.loc[rows["protocol"] == "volume", "value"]
        if len(dice) and (dice == 1).all():
            found.append(f"{name}: all masks equal the reference. Pass the masks of another reader with --rater.")
    return found


def score_against_raters(
    predictions: Sequence[Predictions],
    *,
    scoring: Scoring,
    cache: ScoreCache | None = None,
    progress: Progress = SILENT,
) -> dict[str, pd.DataFrame]:
    """Score the predictions of all methods against the masks of each second reader in place of the reference.

    Args:
        predictions: Predictions of methods and masks of readers.
        scoring: Options.
        cache: Scores of earlier runs.
        progress: Receives the progress.

    Returns:
        Tidy tables of :data:`BESIDE`, as in scores.csv, by name of the reader. Predictions that cannot be scored
        against a reader, for example since the reader's mask is on another grid, are left out.
    """
    found: dict[str, pd.DataFrame] = {}
    masks: dict[str, dict[str, Path]] = {}
    for one in predictions:
        if one.rater:
            masks.setdefault(one.method, {}).update(one.files)
    for name, files in masks.items():
        against = [
            replace(
                one,
                dataset=replace(one.dataset, train=files, test=files),
                files={case: path for case, path in one.files.items() if case in files},
            )
            for one in predictions
            if not one.rater
        ]
        table = score_predictions(against, scoring=scoring, cache=cache, progress=progress).scores
        wanted = (table["protocol"] == "volume") & (table["plane"] == "all") & (table["region"] == "whole")
        found[name] = table[wanted & table["metric"].isin([one.metric for one in BESIDE])].reset_index(drop=True)
    return found
