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

FEMUR_LABELS = (1, 2)
"""Labels that are femur unless said otherwise; the study's masks hold both."""


def femur_of(values_zyx: NDArray, labels: Sequence[int], file: Path) -> tuple[NDArray[np.bool_], list[Finding]]:
    """Where the femur is in a mask with labels.

    Args:
        values_zyx: The mask's values, or a box of them that holds all that are not 0; finite.
        labels: The values that are femur; none: 1 and 2, or the only one.
        file: The mask, for the findings.
    """
    findings = []
    if not np.issubdtype(values_zyx.dtype, np.integer):
        problem = f"is stored as {values_zyx.dtype}; written as uint8."
        findings.append(finding("mask-type", file, problem))
        whole = np.rint(values_zyx)
        fractions = int(np.count_nonzero(whole != values_zyx))
        if fractions:
            problem = f"holds {fractions} values that are no whole numbers, as probabilities are."
            remedy = "Export it as a mask of whole labels."
            return whole > 0, [finding("mask-labels", file, problem, remedy)]
        values_zyx = whole.astype(np.int64)
    held = _labels(values_zyx)
    names = ", ".join(str(label) for label in list(held)[:8]) + (", ..." if len(held) > 8 else "")
    if labels:
        femur = np.isin(values_zyx, labels)
        others = sorted(set(held) - set(labels))
        if others and femur.any():
            problem = f"holds the labels {names}; only {', '.join(map(str, labels))} was taken as femur."
            findings.append(finding("labels-left-out", file, problem))
        return femur, findings
    if held.keys() <= set(FEMUR_LABELS):
        if 2 in held:
            problem = f"holds the label 2 in {held[2]} voxels, which means femur too; they were set to 1."
            findings.append(finding("mask-label-2", file, problem))
    elif len(held) == 1 and min(held) > 0:
        findings.append(finding("mask-label-other", file, f"holds the label {names} alone; it was set to 1."))
    else:
        problem = f"holds the labels {names}, and it is not known which of them are femur."
        return values_zyx > 0, [*findings, finding("mask-labels", file, problem)]
    return values_zyx > 0, findings


def _labels(values: NDArray) -> dict[int, int]:
    """The labels other than 0 and their numbers of voxels."""
    if values.min() >= 0 and values.max() <= max(FEMUR_LABELS):
        # The usual labels are counted without a table of all values, which takes ten times as long.
        usual = {label: int(np.count_nonzero(values == label)) for label in FEMUR_LABELS}
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
