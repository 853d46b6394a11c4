"""The cases that stand-in weights are trained on: CT, mask and side."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nnunet_femur.imaging.files import read_volume
from nnunet_femur.phantoms import make_phantom
from nnunet_femur.volumes import Geometry, oriented
from nnunet_femur.weights.tables import FEMURS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import SimpleITK as sitk
    from numpy.typing import NDArray

    from nnunet_femur.phantoms.cohort import Side

OTHER_BONE = {"left": "hip_left", "right": "hip_right"}
"""TotalSegmentator's class for bone beside the upper half of the femur, by the side of the leg."""

_BONE_HU = 220
_GAP_MM = 2.0


class Case(NamedTuple):
    """A CT of one leg.

    Attributes:
        ct: The CT in HU, or its file.
        mask: The femur's mask on the same grid, or its file; every value above 0 is femur.
        side: Which leg it is.
    """

    ct: Path | sitk.Image
    mask: Path | sitk.Image
    side: Side


def phantom_cases(number: int = 8, *, seed: int = 0, spacing_mm: float = 3.0) -> Iterator[Case]:
    """Phantoms of both sides by turns, whole bones with a random part of the field of view around them.

    Args:
        number: How many.
        seed: Draws them.
        spacing_mm: Edge of their voxels in mm.
    """
    rng = np.random.default_rng(seed)
    for index in range(number):
        edges_mm = np.array([480, 192, 192]) * rng.uniform([0.6, 0.85, 0.85], 1)
        z, y, x = (int(edge) for edge in np.ceil(edges_mm / spacing_mm))
        phantom = make_phantom(
            int(rng.integers(2**31)),
            side="left" if index % 2 == 0 else "right",
            size_zyx=(z, y, x),
            spacing_mm_zyx=(spacing_mm, spacing_mm, spacing_mm),
            noise_hu=rng.uniform(8, 30),
            blur_mm=rng.uniform(0.5, 1.1),
        )
        yield Case(phantom.image, phantom.mask, phantom.side)


def read_case(
    case: Case, classes: Mapping[str, int]
) -> tuple[NDArray[np.float32], NDArray[np.uint8], tuple[float, float, float]]:
    """CT, labels and spacing of a case in TotalSegmentator's orientation, RAS.

    The femur has the label of its side; other bone beside its upper half that of the hip, so that the femur's rows
    have a rival.

    Args:
        case: The case.
        classes: Labels by TotalSegmentator's names.

    Returns:
        HU and labels (z, y, x), and the spacing in mm (z, y, x).
    """
    import SimpleITK as sitk
    from scipy import ndimage

    ct, mask = (
        oriented(image if isinstance(image, sitk.Image) else read_volume(image)) for image in (case.ct, case.mask)
    )
    hu = sitk.GetArrayFromImage(ct).astype(np.float32)
    femur = sitk.GetArrayViewFromImage(mask) > 0
    spacing_mm = Geometry.of(ct).spacing_mm_zyx
    labels = np.zeros(hu.shape, np.uint8)
    heights = np.flatnonzero(femur.any(axis=(1, 2)))
    if len(heights):
        beside = hu > _BONE_HU
        beside[: heights.mean().astype(int)] = False
        beside &= ndimage.distance_transform_edt(~femur, spacing_mm) > _GAP_MM
        labels[beside] = classes[OTHER_BONE[case.side]]
    labels[femur] = classes[FEMURS[0] if case.side == "left" else FEMURS[1]]
    return hu, labels, spacing_mm
