"""The protocol of Pivi & Fusconi (2024), kept so that old numbers can be compared like with like.

2D scores are means over the slices that hold reference; a false find elsewhere does not count. For methods that predict
volumes, slices of IoU 0 are left out as well, so whole missed slices do not count either. Every plane is scored, and
all slices of the three planes in one pot (plane `pooled`); of the heads (region `ends`) only axial slices.

3D scores (plane `all`) are those of the volume for methods that predict volumes. For methods that predict slices they
are those of the stack of the slices that hold reference, averaged over the planes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.evaluation.counts import PLANES, Overlap
from nnunet_femur.evaluation.metrics import OVERLAP_METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nnunet_femur.evaluation.counts import Counts

PAPER_METRICS = {name: OVERLAP_METRICS[name] for name in ("dice", "iou", "vs")}
"""The scores that the study reports; VS in slices is ours."""

PAPER_REGIONS = {"whole": PLANES, "ends": ("axial",)}
"""The regions that the study reports, and the planes of their slices."""


def paper_scores(counts: Counts, *, predicted_in_slices: bool) -> Iterator[tuple[str, str, str, float]]:
    """Plane, region, metric and value of every score of the protocol.

    Besides the means there are their population deviations over slices (`dice_sd`, ...), from which those over all
    slices of all cases can be had, the number of `slices` that count, and of those `dropped` for an IoU of 0. Where no
    slice is left, means are NaN.

    Args:
        counts: Counts of the case.
        predicted_in_slices: Whether the method predicts slices, not volumes.
    """
    for region, planes in PAPER_REGIONS.items():
        if region not in counts.slices:
            continue
        with_reference = {plane: _with_reference(counts.slices[region][plane][1]) for plane in planes}
        kept = {plane: one if predicted_in_slices else _found(one) for plane, one in with_reference.items()}
        for plane in planes:
            yield from _in_slices(plane, region, [with_reference[plane]], [kept[plane]])
        yield from _in_slices("pooled", region, with_reference.values(), kept.values())
        stacks = [one.total() for one in with_reference.values()]
        if not predicted_in_slices:
            stacks = [counts.slices[region]["axial"][1].total()]
        for name, metric in PAPER_METRICS.items():
            yield "all", region, name, float(np.mean([metric.compute(stack)[0] for stack in stacks]))


def _with_reference(slices: Overlap) -> Overlap:
    return slices.chosen(slices.reference > 0)


def _found(slices: Overlap) -> Overlap:
    return slices.chosen(slices.shared > 0)


def _in_slices(
    plane: str, region: str, before: Iterable[Overlap], kept: Iterable[Overlap]
) -> Iterator[tuple[str, str, str, float]]:
    pairs = _joined([*kept])
    number = pairs.reference.size
    for name, metric in PAPER_METRICS.items():
        values = metric.compute(pairs)
        yield plane, region, name, float(values.mean()) if number else float("nan")
        yield plane, region, f"{name}_sd", float(values.std()) if number else float("nan")
    yield plane, region, "slices", float(number)
    yield plane, region, "dropped", float(sum(one.reference.size for one in before) - number)


def _joined(parts: Sequence[Overlap]) -> Overlap:
    return Overlap(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("shared", "reference", "prediction"))
    )
