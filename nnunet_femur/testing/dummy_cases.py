"""Cases that dummy weights are trained on: phantoms, or CTs with reference masks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nnunet_femur.imaging.files import read_volume
from nnunet_femur.imaging.geometry import Geometry, oriented
from nnunet_femur.testing.phantoms import make_phantom
from nnunet_femur.weights.models import FEMURS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import SimpleITK as sitk
    from numpy.typing import NDArray

    from nnunet_femur.testing.phantoms import Side


OTHER_BONE = {"left": "hip_left", "right": "hip_right"}
"""TotalSegmentator's class for bone beside the upper half of the femur, by the side of the leg."""

_BONE_HU = 220
_GAP_MM = 2.0


class Case(NamedTuple):
    """A CT of one leg, its reference mask and its side.

    Attributes:
        ct: The CT in HU, or its file.
        mask: The reference mask on the same grid, or its file; every value above 0 is femur.
        side: Side of the leg, "left" or "right".

    Example:
        >>> case = Case("ct.nrrd", "reference.nrrd", "left")
        >>> case.side
        'left'
    """

    ct: str | Path | sitk.Image
    mask: str | Path | sitk.Image
    side: Side


def phantom_cases(number: int = 8, *, seed: int = 0, spacing_mm: float = 3.0) -> Iterator[Case]:
    """Yield phantoms, left and right by turns, each a whole femur in a field of view of random size.

    Args:
        number: Number of phantoms.
        seed: Seed of the anatomy and of the field of view.
        spacing_mm: Isotropic spacing of the phantoms in mm.

    Example:
        >>> [case.side for case in phantom_cases(2, spacing_mm=12.0)]
        ['left', 'right']
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
    """Return CT, labels and spacing of a case in TotalSegmentator's orientation, RAS.

    The femur has the label of its side. Other bone beside its upper half has the label of the hip, so that the network
    has to distinguish the femur from another bone.

    Args:
        case: The case.
        classes: Label of each of TotalSegmentator's classes.

    Returns:
        HU and labels (z, y, x), and the spacing in mm (z, y, x).
    """
    import SimpleITK as sitk
    from scipy import ndimage

    ct, mask = (
        oriented(image if isinstance(image, sitk.Image) else read_volume(Path(image))) for image in (case.ct, case.mask)
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
