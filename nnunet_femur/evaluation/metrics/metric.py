"""Kinds of metrics: each metric has a name, a formula for print, and a function that computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nnunet_femur.evaluation.counts import Overlap
    from nnunet_femur.evaluation.distances import SurfaceDistances


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A score of a prediction.

    Attributes:
        name: Its name in scores.csv.
        label: Its name in tables and figures.
        formula: Its definition, as printed in the report.
        family: The property that it measures.
        source: Publication or software that defines it.
        ideal: Score of a perfect prediction; of two scores the one nearer to it is better.
        unit: Unit of the score; "1" for a number without unit.

    Example:
        >>> from nnunet_femur.evaluation import METRICS
        >>> METRICS["dice"].formula
        '2 TP / (2 TP + FP + FN)'
        >>> METRICS["hd95"].unit, METRICS["hd95"].ideal
        ('mm', 0.0)
    """

    name: str
    label: str
    formula: str
    family: Literal["overlap", "volume", "surface"]
    source: str
    ideal: float = 1.0
    unit: str = "1"


@dataclass(frozen=True, kw_only=True)
class OverlapMetric(Metric):
    """A score that is computed from voxel counts.

    Attributes:
        compute: Returns the n scores of n pairs of masks; NaN where the formula is undefined.
        in_slices: True if it is also computed slice by slice.
    """

    compute: Callable[[Overlap], NDArray[np.float64]]
    in_slices: bool = False


@dataclass(frozen=True, kw_only=True)
class SurfaceMetric(Metric):
    """A score that is computed from the distances between two surfaces; slice by slice on request.

    Attributes:
        compute: Returns the score of a pair of masks; called only if neither mask is empty.
    """

    compute: Callable[[SurfaceDistances], float]


def ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return `part` / `whole`, NaN where `whole` is 0."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
