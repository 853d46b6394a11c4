"""Choose the femur among the labels of a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.errors import InputError
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding

FEMUR_LABEL = 1
"""The usual label of the femur."""

STUDY_LABEL = 2
"""Some of the study's masks have this label alone, and it means femur there."""

_MOST_LABELS = 300
"""More labels than this are grey values; TotalSegmentator has 117."""

WHOLE_WITHIN = 1e-3
"""Values this close to whole numbers are whole: programs that interpolate or rescale masks leave such differences."""


def whole_labels(values_zyx: NDArray) -> tuple[NDArray, int]:
    """Return a mask's values as whole numbers, and how many are further from one than :data:`WHOLE_WITHIN`.

    Args:
        values_zyx: The mask's values; finite. Whole numbers are given back as they are.
    """
    if np.issubdtype(values_zyx.dtype, np.integer) or values_zyx.dtype == bool:
        return values_zyx, 0
    whole = np.rint(values_zyx)
    fractions = int(np.count_nonzero(np.abs(values_zyx - whole) > WHOLE_WITHIN))
    return whole.astype(np.int64), fractions


def femur_of(values_zyx: NDArray, labels: Sequence[int], file: Path) -> tuple[NDArray[np.bool_], list[Finding]]:
    """Return where the femur is in a mask with labels.

    Without `labels`, a mask with a single label is unambiguous. Of several labels, such as 1 and 2, it is unknown which
    are femur: 2 may be the other femur, or the acetabulum.

    Args:
        values_zyx: The mask's values, or a box of them that holds all that are not 0; finite.
        labels: The values that are femur; empty: the only one.
        file: The mask, for the findings.
    """
    findings = []
    if not np.issubdtype(values_zyx.dtype, np.integer):
        problem = f"is stored as {values_zyx.dtype}; written as uint8."
        findings.append(finding("mask-type", file, problem))
        values_zyx, fractions = whole_labels(values_zyx)
        if fractions:
            problem = f"contains {fractions} values that are not whole numbers, as probabilities are."
            remedy = "Export it as a mask of whole labels."
            return values_zyx > 0, [finding("mask-labels", file, problem, remedy)]
    held = label_counts(values_zyx)
    names = ", ".join(str(label) for label in list(held)[:8]) + (", ..." if len(held) > 8 else "")
    if labels:
        femur = np.isin(values_zyx, labels)
        others = sorted(set(held) - set(labels))
        if others and femur.any():
            problem = f"contains the labels {names}; only {', '.join(map(str, labels))} was taken as femur."
            findings.append(finding("labels-left-out", file, problem))
        return femur, findings
    if len(held) > _MOST_LABELS:
        problem = f"contains {len(held)} values, as the grey values of a CT, so it is no mask."
        return values_zyx > 0, [*findings, finding("mask-labels", file, problem, "Give the mask in its place.")]
    if len(held) > 1 or min(held, default=1) < 0:
        problem = f"contains the labels {names}, and it is not known which of them are femur."
        return values_zyx > 0, [*findings, finding("mask-labels", file, problem, _ways_to_choose(held))]
    if STUDY_LABEL in held:
        problem = f"has the label 2 alone, in {held[STUDY_LABEL]} voxels, which means femur too; they were set to 1."
        findings.append(finding("mask-label-2", file, problem))
    elif held.keys() - {FEMUR_LABEL}:
        findings.append(finding("mask-label-other", file, f"has the label {names} alone; it was set to 1."))
    return values_zyx > 0, findings


def _ways_to_choose(held: dict[int, int]) -> str:
    shown = [label for label in held if label > 0][:8]
    if not shown:
        return "Export the mask with the femur as 1."
    if len(shown) == 1:
        return f"Use --labels {shown[0]} if that is the femur."
    every = ",".join(map(str, shown))
    return f"Use --labels {shown[0]} if only that is femur, or --labels {every} if all of them are."


def label_counts(values: NDArray) -> dict[int, int]:
    """Return the labels other than 0 and their numbers of voxels."""
    usual_labels = (FEMUR_LABEL, STUDY_LABEL)
    if values.min() >= 0 and values.max() <= max(usual_labels):
        # The usual labels are counted without a table of all values, which takes ten times as long.
        usual = {label: int(np.count_nonzero(values == label)) for label in usual_labels}
        return {label: count for label, count in usual.items() if count}
    if values.dtype in (np.uint8, np.uint16):
        counts = np.bincount(values.ravel())
        return {int(label): int(counts[label]) for label in np.flatnonzero(counts) if label}
    labels, counts = np.unique(values[values != 0], return_counts=True)
    return {int(label): int(count) for label, count in zip(labels, counts, strict=True)}


def parse_labels(text: str | None) -> tuple[int, ...]:
    """The values in a list such as ``1,2``; none of them for None.

    Raises:
        InputError: The text is not a list of whole numbers.
    """
    if text is None:
        return ()
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        msg = f"--labels {text}: is not a list of whole numbers. Give the values that are femur, as in --labels 1,2."
        raise InputError(msg) from error
