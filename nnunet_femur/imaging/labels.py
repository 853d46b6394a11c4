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
"""The only label of some of the study's masks, in which it is the femur."""

_MOST_LABELS = 300
"""Largest number of labels in a mask; more values are grey values. TotalSegmentator has 117 labels."""

WHOLE_WITHIN = 1e-3
"""Largest difference from a whole number that is a rounding error of a program that rescaled the mask."""


def whole_labels(values_zyx: NDArray) -> tuple[NDArray, int]:
    """Return the values of a mask as whole numbers, and the number of values that are not whole numbers.

    Args:
        values_zyx: The values; finite. An array of integers is returned unchanged. Differences up to
            :data:`WHOLE_WITHIN` are rounding errors.

    Example:
        >>> whole_labels(np.array([0.0, 0.9999, 2.5]))
        (array([0, 1, 2]), 1)
    """
    if np.issubdtype(values_zyx.dtype, np.integer) or values_zyx.dtype == bool:
        return values_zyx, 0
    whole = np.rint(values_zyx)
    fractions = int(np.count_nonzero(np.abs(values_zyx - whole) > WHOLE_WITHIN))
    return whole.astype(np.int64), fractions


def femur_of(values_zyx: NDArray, labels: Sequence[int], file: Path) -> tuple[NDArray[np.bool_], list[Finding]]:
    """Return the femur in a mask with labels, and the findings about its labels.

    Without `labels`, a mask with a single label is unambiguous. Several labels, such as 1 and 2, are an error: 2 may be
    the other femur, or the acetabulum.

    Args:
        values_zyx: The values of the mask, or a box that contains all values other than 0; finite.
        labels: The values that are femur; empty: the only value other than 0.
        file: The mask, as the findings name it.

    Returns:
        True in the femur, shape of `values_zyx`; the findings, which may be errors.
    """
    findings = []
    if not np.issubdtype(values_zyx.dtype, np.integer):
        problem = f"is stored as {values_zyx.dtype}; written as uint8."
        findings.append(finding("mask-type", file, problem))
        values_zyx, fractions = whole_labels(values_zyx)
        if fractions:
            problem = f"contains {fractions} values that are not whole numbers, such as probabilities."
            remedy = "Export it as a mask with whole numbers as labels."
            return values_zyx > 0, [finding("mask-labels", file, problem, remedy)]
    counts_by_label = label_counts(values_zyx)
    names = ", ".join(str(label) for label in list(counts_by_label)[:8]) + (", ..." if len(counts_by_label) > 8 else "")
    if labels:
        femur = np.isin(values_zyx, labels)
        others = sorted(set(counts_by_label) - set(labels))
        if others and femur.any():
            problem = f"contains the labels {names}; only {', '.join(map(str, labels))} was used as femur."
            findings.append(finding("labels-left-out", file, problem))
        return femur, findings
    if len(counts_by_label) > _MOST_LABELS:
        problem = f"contains {len(counts_by_label)} different values, so it is a CT and not a mask."
        return values_zyx > 0, [*findings, finding("mask-labels", file, problem, "Give the mask instead.")]
    if len(counts_by_label) > 1 or min(counts_by_label, default=1) < 0:
        problem = f"contains the labels {names}; it is unknown which of them are femur."
        return values_zyx > 0, [*findings, finding("mask-labels", file, problem, _how_to_choose(counts_by_label))]
    if STUDY_LABEL in counts_by_label:
        problem = (
            f"has only the label 2, in {counts_by_label[STUDY_LABEL]} voxels; they were used as femur and set to 1."
        )
        findings.append(finding("mask-label-2", file, problem))
    elif counts_by_label.keys() - {FEMUR_LABEL}:
        findings.append(finding("mask-label-other", file, f"has only the label {names}; it was used as femur."))
    return values_zyx > 0, findings


def label_counts(values: NDArray) -> dict[int, int]:
    """Return the number of voxels of each label other than 0.

    Example:
        >>> label_counts(np.array([0, 1, 1, 2]))
        {1: 2, 2: 1}
    """
    usual_labels = (FEMUR_LABEL, STUDY_LABEL)
    if values.min() >= 0 and values.max() <= max(usual_labels):
        # Counting only the usual labels is ten times as fast as a table of all values.
        usual = {label: int(np.count_nonzero(values == label)) for label in usual_labels}
        return {label: count for label, count in usual.items() if count}
    if values.dtype in (np.uint8, np.uint16):
        counts = np.bincount(values.ravel())
        return {int(label): int(counts[label]) for label in np.flatnonzero(counts) if label}
    labels, counts = np.unique(values[values != 0], return_counts=True)
    return {int(label): int(count) for label, count in zip(labels, counts, strict=True)}


def parse_labels(text: str | None) -> tuple[int, ...]:
    """Return the values in a list such as ``1,2``; an empty tuple for None.

    Raises:
        InputError: The text is not a list of whole numbers ("invalid-option").

    Example:
        >>> parse_labels("2,1")
        (1, 2)
    """
    if text is None:
        return ()
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        msg = f"--labels must be a list of whole numbers, got {text!r}. Give the values that are femur: --labels 1,2"
        raise InputError(msg, code="invalid-option") from error


def _how_to_choose(counts_by_label: dict[int, int]) -> str:
    shown = [label for label in counts_by_label if label > 0][:8]
    if not shown:
        return "Export the mask with the femur as 1."
    if len(shown) == 1:
        return f"Use --labels {shown[0]} if that is the femur."
    every = ",".join(map(str, shown))
    return f"Use --labels {shown[0]} if only that is femur, or --labels {every} if all of them are."
