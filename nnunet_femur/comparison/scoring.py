"""Score every prediction that was found, and gather the scores in one tidy table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.evaluation import CaseScores, SliceScores, read_mask, require_same_grid, score_case
from nnunet_femur.progress import silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from nnunet_femur.comparison.predictions import Predictions
    from nnunet_femur.progress import Track

COLUMNS = ("method", "set", "fold", "case", "patient", "protocol", "plane", "region", "metric", "value", "unit")
"""Columns of scores.csv."""


@dataclass(frozen=True)
class AxialSlice:
    """One axial slice of one prediction.

    Attributes:
        predictions: What the prediction belongs to.
        case: Its case.
        index: Position of the slice, counted from the inferior end.
        size: Voxels in truth or prediction.
        dice: Dice of the slice.
    """

    predictions: Predictions
    case: str
    index: int
    size: int
    dice: float


@dataclass(frozen=True)
class Scored:
    """Scores of all predictions.

    Attributes:
        scores: One row per number, with :data:`COLUMNS`.
        best: The best axial slice of every prediction.
        worst: The worst.
    """

    scores: pd.DataFrame
    best: list[AxialSlice]
    worst: list[AxialSlice]


def score(found: Sequence[Predictions], *, track: Track = silent) -> Scored:
    """Score predictions against their truth.

    Args:
        found: What to score; the order of the table follows it.
        track: Shows the progress.

    Raises:
        InputError: A mask cannot be read, is not binary, or does not lie on the grid of its truth.
    """
    import pandas as pd

    # In the order of the truths, so that each is read once and only one is held.
    read_truth = lru_cache(maxsize=1)(read_mask)
    jobs = [(predictions, case) for predictions in found for case in predictions.files]
    by_truth = sorted(range(len(jobs)), key=lambda job: str(jobs[job][0].dataset.truth(jobs[job][1])))
    results: dict[int, CaseScores] = {}
    for job in track(by_truth, "Scoring"):
        predictions, case = jobs[job]
        truth = read_truth(predictions.dataset.truth(case))
        prediction = read_mask(predictions.files[case], like=truth.geometry)
        require_same_grid(truth, prediction)
        results[job] = score_case(truth.voxels, prediction.voxels, voxel_volume_ml=truth.geometry.voxel_volume_ml)

    rows = [
        (predictions.method, predictions.set, predictions.fold, case, predictions.patient(case), *one)
        for job, (predictions, case) in enumerate(jobs)
        for one in results[job].scores
    ]
    best, worst = [], []
    for job, (predictions, case) in enumerate(jobs):
        axial = results[job].slices["axial"]
        if axial.index.size:
            best.append(_slice(predictions, case, axial, at=_ranked(axial, falling=True)))
            worst.append(_slice(predictions, case, axial, at=_ranked(axial, falling=False)))
    return Scored(pd.DataFrame(rows, columns=list(COLUMNS)), best, worst)


def _ranked(slices: SliceScores, *, falling: bool) -> int:
    """Place of the slice with the highest (`falling`) or lowest Dice; among equals of the one with most voxels."""
    dice = slices.values["dice"]
    return int(np.lexsort((-slices.size, -dice if falling else dice))[0])


def _slice(predictions: Predictions, case: str, slices: SliceScores, *, at: int) -> AxialSlice:
    return AxialSlice(predictions, case, int(slices.index[at]), int(slices.size[at]), float(slices.values["dice"][at]))
