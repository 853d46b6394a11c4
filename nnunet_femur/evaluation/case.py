"""Every score of one case: the volume, its regions, and the slices of three planes, by every protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nnunet_femur.evaluation.counts import PLANES, AxisProfile, count
from nnunet_femur.evaluation.distances import MatchedSurfaces
from nnunet_femur.evaluation.metrics import OVERLAP_METRICS, SURFACE_METRICS
from nnunet_femur.evaluation.policies import EMPTY_KINDS, STRICT, EmptyPolicy
from nnunet_femur.evaluation.protocols import paper_scores
from nnunet_femur.evaluation.regions import surfels_in_region
from nnunet_femur.evaluation.surfels import extract_surface

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nnunet_femur.evaluation.bone import Bone, BoneAxis
    from nnunet_femur.evaluation.counts import Counts, Overlap
    from nnunet_femur.evaluation.distances import SurfaceDistances
    from nnunet_femur.evaluation.surfels import Surface


SLICE_METRICS = {name: metric for name, metric in OVERLAP_METRICS.items() if metric.in_slices}
"""The metrics that are taken slice by slice without being asked for."""


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
    """The slices of one plane that hold reference or prediction.

    Attributes:
        index: Position of each slice along its axis, counted from inferior, posterior or left; shape (n,).
        overlap: Voxels in reference, prediction and both, shape (n,) each.
        values: Scores of each metric by name, shape (n,) each.
    """

    index: NDArray[np.int64]
    overlap: Overlap
    values: dict[str, NDArray[np.float64]]

    @property
    def reference(self) -> NDArray[np.int64]:
        """Voxels in reference, shape (n,)."""
        return self.overlap.reference

    @property
    def size(self) -> NDArray[np.int64]:
        """Voxels in reference or prediction, shape (n,)."""
        return self.overlap.union


@dataclass(frozen=True)
class CaseScores:
    """Scores of one case.

    Attributes:
        scores: All that goes into scores.csv.
        slices: What the means of the `slices` protocol rest on, of the whole bone, by plane.
        profile: Agreement along the bone's long axis; None for an empty reference.
    """

    scores: tuple[Score, ...]
    slices: dict[str, SliceScores]
    profile: AxisProfile | None


@dataclass(frozen=True)
class Scoring:
    """How cases are scored.

    Attributes:
        policy: What empty masks score.
        slice_surfaces: Whether slices get surface scores too, which takes about a second per case.
        segments: Names of the segments of a segmentation that are femur; none: the only one, or those named femur.
        labels: Values of a mask that are femur; none: 1, or the only value above 0.
    """

    policy: EmptyPolicy = field(default=STRICT)
    slice_surfaces: bool = False
    segments: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()


def slice_scores(index: NDArray[np.int64], overlap: Overlap, policy: EmptyPolicy) -> SliceScores:
    """Score slices by the metrics that rest on counts.

    Args:
        index: Position of each slice along its axis, shape (n,).
        overlap: Their counts.
        policy: What empty masks score.
    """
    return SliceScores(index, overlap, _overlap_values(overlap, policy, SLICE_METRICS))


def score_case(
    reference: Bone,
    prediction: Bone,
    *,
    scoring: Scoring | None = None,
    predicted_in_slices: bool = False,
) -> CaseScores:
    """Score a prediction by the protocols `volume`, `slices` and `paper`.

    `volume` scores all voxels at once. `slices` scores every slice that holds reference or prediction and takes
    the mean of each plane; if there is no such slice, the plane scores as one pair of empty masks. `paper` does as the
    study did, see :mod:`nnunet_femur.evaluation.protocols`. The first two score each region of the bone too, which are
    found on the reference; an empty reference has none but the whole.

    Args:
        reference: The reference mask.
        prediction: A mask on the same grid.
        scoring: How to score; None for the strict policy without surfaces of slices.
        predicted_in_slices: Whether the method works slice by slice, which the protocol `paper` treats differently.
    """
    how = scoring or Scoring()
    counts = count(reference, prediction)
    scores = [*_volume(reference, prediction, counts, how.policy)]
    slices: dict[str, SliceScores] = {}
    for region, planes in counts.slices.items():
        for plane, (index, overlap) in planes.items():
            pairs = overlap if index.size else overlap.total()
            values = _overlap_values(pairs, how.policy, SLICE_METRICS)
            units = {name: metric.unit for name, metric in SLICE_METRICS.items()}
            if region == "whole" and how.slice_surfaces:
                values |= _slice_surfaces(reference, prediction, plane, index, pairs, how.policy)
                units |= {name: metric.unit for name, metric in SURFACE_METRICS.items()}
            scores += _slice_means(plane, region, index.size, pairs, values, units)
            if region == "whole":
                kept = {name: found[: index.size] for name, found in values.items()}
                slices[plane] = SliceScores(index, overlap, kept)
    scores += (
        Score("paper", plane, region, metric, value, "1")
        for plane, region, metric, value in paper_scores(counts, predicted_in_slices=predicted_in_slices)
    )
    return CaseScores(tuple(scores), slices, counts.profile)


def _volume(reference: Bone, prediction: Bone, counts: Counts, policy: EmptyPolicy) -> Iterator[Score]:
    matched = None if reference.empty or prediction.empty else MatchedSurfaces.of(reference.surface, prediction.surface)
    diagonal_mm = _diagonal_mm(reference.voxels.shape, reference.spacing_mm_zyx)
    for region, planes in counts.slices.items():
        pair = planes["axial"][1].total()
        found = {name: metric.compute(pair) for name, metric in OVERLAP_METRICS.items()}
        found |= {name: np.array([float("nan")]) for name in SURFACE_METRICS}
        if matched is not None and reference.axis is not None:
            distances = _distances_in(region, matched, reference.axis, counts)
            found |= {name: np.array([metric.compute(distances)]) for name, metric in SURFACE_METRICS.items()}
        for name, metric in (OVERLAP_METRICS | SURFACE_METRICS).items():
            value = policy.applied(name, found[name], pair, diagonal_mm=diagonal_mm)
            yield Score("volume", "all", region, name, float(value[0]), metric.unit)
        for name, voxels in (("truth", pair.reference), ("prediction", pair.prediction)):
            volume_ml = float(voxels[0]) * reference.voxel_volume_ml
            yield Score("volume", "all", region, f"{name}_volume", volume_ml, "ml")
        yield from _empties("volume", "all", region, pair)


def _distances_in(region: str, matched: MatchedSurfaces, axis: BoneAxis, counts: Counts) -> SurfaceDistances:
    if region == "whole":
        return matched.all()
    surfaces = (matched.reference, matched.prediction)
    return matched.part(*(surfels_in_region(region, one.corners, axis, counts.in_ends) for one in surfaces))


def _overlap_values(pairs: Overlap, policy: EmptyPolicy, metrics: dict) -> dict[str, NDArray[np.float64]]:
    return {name: policy.applied(name, metric.compute(pairs), pairs) for name, metric in metrics.items()}


def _slice_surfaces(
    reference: Bone, prediction: Bone, plane: str, index: NDArray[np.int64], pairs: Overlap, policy: EmptyPolicy
) -> dict[str, NDArray[np.float64]]:
    axis = PLANES.index(plane)
    across = [other for other in range(3) if other != axis]
    diagonal_mm = _diagonal_mm(
        tuple(reference.voxels.shape[other] for other in across),
        tuple(reference.spacing_mm_zyx[other] for other in across),
    )
    found = slice_surface_values(reference, prediction, axis, index)
    return {
        name: policy.applied(name, values if index.size else np.full(1, np.nan), pairs, diagonal_mm=diagonal_mm)
        for name, values in found.items()
    }


def _slice_means(
    plane: str, region: str, slices: int, pairs: Overlap, values: dict[str, NDArray[np.float64]], units: dict[str, str]
) -> Iterator[Score]:
    for name, found in values.items():
        known = found[np.isfinite(found)]
        mean, deviation = (float(known.mean()), float(known.std())) if known.size else (float("nan"), float("nan"))
        yield Score("slices", plane, region, name, mean, units[name])
        yield Score("slices", plane, region, f"{name}_sd", deviation, units[name])
    yield from _empties("slices", plane, region, pairs)
    yield Score("slices", plane, region, "slices", float(slices), "1")


def _empties(protocol: str, plane: str, region: str, pairs: Overlap) -> Iterator[Score]:
    for kind in EMPTY_KINDS:
        yield Score(protocol, plane, region, kind, float(np.count_nonzero(getattr(pairs, kind))), "1")


def _diagonal_mm(shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> float:
    return float(np.linalg.norm(np.array(shape) * np.array(spacing_mm)))


def slice_surface_values(
    reference: Bone, prediction: Bone, axis: int, index: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Scores of every surface metric in slices across one axis.

    Args:
        reference: The reference mask.
        prediction: A mask on the same grid.
        axis: The array axis that the slices lie across.
        index: The slices, shape (n,).

    Returns:
        By metric the scores in the metric's unit, shape (n,); NaN where a slice holds one of both masks only.
    """
    values = {name: np.full(index.size, np.nan) for name in SURFACE_METRICS}
    for place, number in enumerate(index):
        contours = [_contour(bone, axis, int(number)) for bone in (reference, prediction)]
        if all(len(contour.corners) for contour in contours):
            distances = MatchedSurfaces.of(*contours).all()
            for name, metric in SURFACE_METRICS.items():
                values[name][place] = metric.compute(distances)
    return values


def _contour(bone: Bone, axis: int, number: int) -> Surface:
    across = [other for other in range(3) if other != axis]
    box = [bone.box[other] for other in across]
    spacing_mm = tuple(bone.spacing_mm_zyx[other] for other in across)
    return extract_surface(np.take(bone.voxels, number, axis=axis), box, spacing_mm)
