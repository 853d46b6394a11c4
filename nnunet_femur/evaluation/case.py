"""Every score of one case: the volume, and the slices of three planes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nnunet_femur.evaluation.metrics import METRICS
from nnunet_femur.evaluation.overlap import slice_overlaps
from nnunet_femur.evaluation.policy import EMPTY_KINDS, STRICT, EmptyPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nnunet_femur.evaluation.overlap import Overlap


class Score(NamedTuple):
    """One number about one case; the names are those of scores.csv."""

    protocol: str
    plane: str
    region: str
    metric: str
    value: float
    unit: str


@dataclass(frozen=True)
class SliceScores:
    """The slices of one plane that hold truth or prediction.

    Attributes:
        index: Position of each slice along its axis, counted from inferior, posterior or left; shape (n,).
        size: Voxels in truth or prediction, shape (n,).
        values: Scores of each metric by name, shape (n,) each.
    """

    index: NDArray[np.int64]
    size: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class CaseScores:
    """Scores of one case.

    Attributes:
        scores: All that goes into scores.csv.
        slices: What the means of the `slices` protocol rest on, by plane.
    """

    scores: tuple[Score, ...]
    slices: dict[str, SliceScores]


def score_case(
    truth: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    *,
    voxel_volume_ml: float,
    policy: EmptyPolicy = STRICT,
) -> CaseScores:
    """Score a prediction by the protocols `volume` and `slices`.

    `volume` scores all voxels at once. `slices` scores every slice that holds truth or prediction and takes
    the mean of each plane; if there is no such slice, the plane scores as one pair of empty masks.

    Args:
        truth: Mask of shape (z, y, x), axes in the order of :class:`~nnunet_femur.evaluation.masks.Mask`.
        prediction: Mask of the same shape on the same grid.
        voxel_volume_ml: Volume of a voxel in millilitres.
        policy: What empty masks score.
    """
    planes = slice_overlaps(truth, prediction)
    volume = planes["axial"][1].total()
    scores = [*_means("volume", "all", volume, _values(volume, policy))]
    scores += (
        Score("volume", "all", "whole", f"{name}_volume", float(voxels[0]) * voxel_volume_ml, "ml")
        for name, voxels in (("truth", volume.truth), ("prediction", volume.prediction))
    )
    slices = {}
    for plane, (index, overlap) in planes.items():
        slices[plane] = SliceScores(index, overlap.union, _values(overlap, policy))
        pairs = overlap if index.size else overlap.total()
        scores += _means("slices", plane, pairs, _values(pairs, policy))
        scores.append(Score("slices", plane, "whole", "slices", float(index.size), "1"))
    return CaseScores(tuple(scores), slices)


def _values(pairs: Overlap, policy: EmptyPolicy) -> dict[str, NDArray[np.float64]]:
    return {name: policy.applied(name, metric.compute(pairs), pairs) for name, metric in METRICS.items()}


def _means(protocol: str, plane: str, pairs: Overlap, values: dict[str, NDArray[np.float64]]) -> Iterator[Score]:
    for name, metric in METRICS.items():
        yield Score(protocol, plane, "whole", name, float(values[name].mean()), metric.unit)
    for kind in EMPTY_KINDS:
        yield Score(protocol, plane, "whole", kind, float(np.count_nonzero(getattr(pairs, kind))), "1")
