"""Comparison of the masks of the true-size benchmark with each other and with the phantom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from nnunet_femur.prediction.postprocessing import keep_largest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

NEAR_MM = 25.0
"""Distance from the phantom's femur within which masks are compared."""


def compare(
    masks: Mapping[str, Path | None], reference: Path, *, labels: Mapping[str, Sequence[int]], bases: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return Dice to the phantom, and differences from other ways, for each way with a mask.

    Args:
        masks: The mask's file of each way.
        reference: The phantom's mask.
        labels: Labels that are femur, of ways whose masks have other ones too.
        bases: Ways that the others are compared with.

    Returns:
        For each way `dice`, `dice_largest` (of the largest piece; of two femurs, the largest pieces to both sides),
        `voxels` near the phantom's femur, and `differs`: for each base the voxels that differ, divided by the base's
        voxels, `near` (within 25 mm of the phantom's femur) and `everywhere`.
    """
    image = sitk.ReadImage(str(reference))
    true = sitk.GetArrayFromImage(image) > 0
    near = ndimage.distance_transform_edt(~true, sampling=image.GetSpacing()[::-1]) <= NEAR_MM
    found = {way: _femur(path, labels.get(way, ())) for way, path in masks.items() if path is not None}
    compared = {}
    for way, mask in found.items():
        differs = {}
        for base in bases:
            if base in found and base != way:
                other = found[base]
                differs[base] = {
                    "near": _ratio(np.count_nonzero((mask ^ other) & near), np.count_nonzero(other & near)),
                    "everywhere": _ratio(np.count_nonzero(mask ^ other), np.count_nonzero(other)),
                }
        compared[way] = {
            "dice": _dice(mask, true),
            "dice_largest": _dice(_largest(mask, true), true),
            "voxels": int(np.count_nonzero(mask & near)),
            "differs": differs,
        }
    return compared


def _femur(path: Path, labels: Sequence[int]) -> NDArray[np.bool_]:
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    return np.isin(values, labels) if labels else values > 0


def _largest(mask: NDArray[np.bool_], true: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest piece in the part of the CT of each leg."""
    legs = ndimage.label(true.any(axis=(0, 1)))[1]
    largest = np.zeros_like(mask)
    for part in np.array_split(np.arange(mask.shape[2]), legs):
        side = mask[:, :, part]
        if side.any():
            largest[:, :, part] = keep_largest(side.astype(np.uint8)) > 0
    return largest


def _dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float | None:
    return _ratio(2 * np.count_nonzero(a & b), np.count_nonzero(a) + np.count_nonzero(b))


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
