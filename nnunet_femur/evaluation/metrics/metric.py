"""Kinds of metrics: a name, a formula for print, and a function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nnunet_femur.evaluation.counts import Overlap
    from nnunet_femur.evaluation.distances import SurfaceDistances


@dataclass(frozen=True)
class Metric:
    """A score of a prediction.

    Attributes:
        name: Its name in scores.csv.
        label: Its name in tables and figures.
        formula: Its definition, as printed in the report.
        family: What it is about.
        source: Whose definition it is.
        ideal: The score of a perfect prediction; the better of two scores is the one nearer to it.
        unit: Unit of the score, "1" if it has none.
    """

    name: str
    label: str
    formula: str
    family: Literal["overlap", "volume", "surface"]
    source: str
    ideal: float = 1.0
    unit: str = "1"


@dataclass(frozen=True)
class OverlapMetric(Metric):
    """A score that rests on counts of voxels.

    Attributes:
        compute: From n pairs of masks to their n scores; NaN where the formula is undefined.
        in_slices: Whether it is also taken slice by slice.
    """

    compute: Callable[[Overlap], NDArray[np.float64]] = lambda pairs: np.full(pairs.reference.shape, np.nan)
    in_slices: bool = False


@dataclass(frozen=True)
class SurfaceMetric(Metric):
    """A score that rests on distances between two surfaces; in slices it is taken on request.

    Attributes:
        compute: From the distances to the score; only called where both masks hold voxels.
    """

    compute: Callable[[SurfaceDistances], float] = lambda _: float("nan")


def ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """`part` / `whole`, NaN where `whole` is 0."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
