"""The three protocols by which a case is scored: `volume`, `slices` and `paper`.

`volume` scores all voxels at once. `slices` scores each slice that contains reference or prediction, and takes the mean
of each plane; a plane without such a slice scores as one pair of empty masks. Both score every region of the bone.

`paper` is the protocol of Pivi & Fusconi (2024), kept to compare old numbers like with like. 2D scores are means over
the slices that contain reference; false positives in other slices do not count. For methods that predict volumes,
slices with an IoU of 0 are left out as well, so slices that were missed entirely do not count either. Every plane is
scored, and all slices of the three planes together (plane `pooled`); of the femur heads (region `ends`) only axial
slices. 3D scores (plane `all`) are those of the volume for methods that predict volumes. For methods that predict
slices they are those of the stack of slices that contain reference, averaged over the planes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.evaluation.case_scores import Score, SliceScores, overlap_values
from nnunet_femur.evaluation.counts import PLANES, Overlap
from nnunet_femur.evaluation.distances import MatchedSurfaces
from nnunet_femur.evaluation.metrics import METRICS, OVERLAP_METRICS, SURFACE_METRICS
from nnunet_femur.evaluation.regions import surfels_in_region

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from nnunet_femur.evaluation.bone import Bone, BoneAxis
    from nnunet_femur.evaluation.counts import Counts
    from nnunet_femur.evaluation.distances import SurfaceDistances
    from nnunet_femur.evaluation.policies import EmptyPolicy

PAPER_METRICS = {name: OVERLAP_METRICS[name] for name in ("dice", "iou", "vs")}
"""Scores of the protocol `paper`. The study reports them in 3D, and Dice and IoU in slices; VS in slices is ours."""

PAPER_REGIONS = {"whole": PLANES, "ends": ("axial",)}
"""Regions of the protocol `paper`, and the planes of their slices."""


def volume_scores(reference: Bone, prediction: Bone, counts: Counts, policy: EmptyPolicy) -> Iterator[Score]:
    """Yield the scores of the protocol `volume`: every metric in every region, and volumes in ml.

    Args:
        reference: The reference mask.
        prediction: A mask on the same grid.
        counts: Their counts.
        policy: Scores of empty masks.
    """
    matched = None if reference.empty or prediction.empty else MatchedSurfaces.of(reference.surface, prediction.surface)
    diagonal_mm = _diagonal_mm(reference.voxels.shape, reference.spacing_mm_zyx)
    for region, planes in counts.slices.items():
        pair = planes["axial"][1].total()
        found = {name: metric.compute(pair) for name, metric in OVERLAP_METRICS.items()}
        found |= {name: np.array([np.nan]) for name in SURFACE_METRICS}
        if matched is not None and reference.axis is not None:
            distances = _distances_in(region, matched, reference.axis, counts)
            found |= {name: np.array([metric.compute(distances)]) for name, metric in SURFACE_METRICS.items()}
        for name, metric in METRICS.items():
            value = policy.applied(name, found[name], pair, diagonal_mm=diagonal_mm)
            yield Score("volume", "all", region, name, float(value[0]), metric.unit)
        for name, voxels in (("truth", pair.reference), ("prediction", pair.prediction)):
            volume_ml = float(voxels[0]) * reference.voxel_volume_ml
            yield Score("volume", "all", region, f"{name}_volume", volume_ml, "ml")
        yield from _empty_counts("volume", "all", region, pair)


def _distances_in(region: str, matched: MatchedSurfaces, axis: BoneAxis, counts: Counts) -> SurfaceDistances:
    if region == "whole":
        return matched.all()
    surfaces = (matched.reference, matched.prediction)
    return matched.part(*(surfels_in_region(region, one.corners, axis, counts.in_ends) for one in surfaces))


def slice_scores(
    reference: Bone, prediction: Bone, counts: Counts, policy: EmptyPolicy, *, surfaces: bool
) -> tuple[list[Score], dict[str, SliceScores]]:
    """Return the scores of the protocol `slices`, and the slices of the whole bone by plane.

    Each score is a mean over slices; its population standard deviation is the score with ``_sd`` behind its name.

    Args:
        reference: The reference mask.
        prediction: A mask on the same grid.
        counts: Their counts.
        policy: Scores of empty masks.
        surfaces: Compute surface metrics in slices of the whole bone as well.
    """
    scores: list[Score] = []
    whole: dict[str, SliceScores] = {}
    for region, planes in counts.slices.items():
        for plane, (index, overlap) in planes.items():
            pairs = overlap if index.size else overlap.total()
            values = overlap_values(pairs, policy)
            if region == "whole" and surfaces:
                values |= _slice_surfaces(reference, prediction, plane, index, pairs, policy)
            scores += _slice_means(plane, region, index.size, pairs, values)
            if region == "whole":
                of_slices = {name: found[: index.size] for name, found in values.items()}
                whole[plane] = SliceScores(index, overlap, of_slices)
    return scores, whole


def _slice_means(
    plane: str, region: str, number: int, pairs: Overlap, values: dict[str, NDArray[np.float64]]
) -> Iterator[Score]:
    for name, found in values.items():
        known = found[np.isfinite(found)]
        mean, deviation = (float(known.mean()), float(known.std())) if known.size else (float("nan"), float("nan"))
        unit = METRICS[name].unit
        yield Score("slices", plane, region, name, mean, unit)
        yield Score("slices", plane, region, f"{name}_sd", deviation, unit)
    yield from _empty_counts("slices", plane, region, pairs)
    yield Score("slices", plane, region, "slices", float(number), "1")


def _slice_surfaces(
    reference: Bone, prediction: Bone, plane: str, index: NDArray[np.int64], pairs: Overlap, policy: EmptyPolicy
) -> dict[str, NDArray[np.float64]]:
    """Return the scores of each surface metric in slices, shape (n,) each."""
    axis = PLANES.index(plane)
    across = [other for other in range(3) if other != axis]
    diagonal_mm = _diagonal_mm(
        tuple(reference.voxels.shape[other] for other in across),
        tuple(reference.spacing_mm_zyx[other] for other in across),
    )
    values = {name: np.full(max(index.size, 1), np.nan) for name in SURFACE_METRICS}
    for place, number in enumerate(index):
        contours = [bone.contour(axis, int(number)) for bone in (reference, prediction)]
        if all(len(contour.corners) for contour in contours):
            distances = MatchedSurfaces.of(*contours).all()
            for name, metric in SURFACE_METRICS.items():
                values[name][place] = metric.compute(distances)
    return {name: policy.applied(name, found, pairs, diagonal_mm=diagonal_mm) for name, found in values.items()}


def _empty_counts(protocol: str, plane: str, region: str, pairs: Overlap) -> Iterator[Score]:
    for kind, empty in pairs.empty.items():
        yield Score(protocol, plane, region, kind, float(np.count_nonzero(empty)), "1")


def _diagonal_mm(shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> float:
    return float(np.linalg.norm(np.array(shape) * np.array(spacing_mm)))


def paper_scores(counts: Counts, *, predicted_in_slices: bool) -> Iterator[Score]:
    """Yield the scores of the protocol `paper`.

    Besides the means there are population standard deviations over slices (`dice_sd`, ...), from which the deviations
    over all slices of all cases follow; the number of `slices` that count; and the number of slices `dropped` for an
    IoU of 0. Means over no slice are NaN.

    Args:
        counts: Counts of the case.
        predicted_in_slices: True for a method that predicts slice by slice, False for one that predicts volumes.
    """
    for region, planes in PAPER_REGIONS.items():
        if region not in counts.slices:
            continue
        slices = counts.slices[region]
        with_reference = {plane: _with_reference(slices[plane][1]) for plane in planes}
        kept = {plane: one if predicted_in_slices else _not_missed(one) for plane, one in with_reference.items()}
        for plane in planes:
            yield from _paper_means(plane, region, [with_reference[plane]], [kept[plane]])
        yield from _paper_means("pooled", region, with_reference.values(), kept.values())
        stacks = with_reference.values() if predicted_in_slices else [slices["axial"][1]]
        for name, metric in PAPER_METRICS.items():
            mean = float(np.mean([metric.compute(stack.total())[0] for stack in stacks]))
            yield Score("paper", "all", region, name, mean, "1")


def _with_reference(slices: Overlap) -> Overlap:
    return slices.chosen(slices.reference > 0)


def _not_missed(slices: Overlap) -> Overlap:
    return slices.chosen(slices.shared > 0)


def _paper_means(plane: str, region: str, before: Iterable[Overlap], kept: Iterable[Overlap]) -> Iterator[Score]:
    pairs = Overlap.joined(kept)
    number = pairs.reference.size
    dropped = sum(one.reference.size for one in before) - number
    for name, metric in PAPER_METRICS.items():
        values = metric.compute(pairs)
        mean, deviation = (float(values.mean()), float(values.std())) if number else (float("nan"), float("nan"))
        yield Score("paper", plane, region, name, mean, "1")
        yield Score("paper", plane, region, f"{name}_sd", deviation, "1")
    yield Score("paper", plane, region, "slices", float(number), "1")
    yield Score("paper", plane, region, "dropped", float(dropped), "1")
