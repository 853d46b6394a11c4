"""The box around bone."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from nnunet_femur.imaging.boxes import box_of
from nnunet_femur.prediction.preprocessing import bone_box
from nnunet_femur.testing import make_phantom


def test_has_a_margin_around_what_is_dense() -> None:
    ct = np.full((60, 60, 60), -50, np.int16)
    ct[30:40, 30:40, 30:40] = 700
    ct[2, 2, 2] = 700
    # 1000 voxels of 0.125 ml are 125 ml, one is a speck; 25 mm are 5 voxels.
    assert bone_box(ct, (5.0, 5.0, 5.0)) == (slice(25, 45),) * 3


def test_ends_where_the_ct_ends() -> None:
    ct = np.full((20, 20, 20), -50, np.int16)
    ct[:8, 6:12, 15:] = 700
    assert bone_box(ct, (5.0, 5.0, 5.0)) == (slice(0, 13), slice(1, 17), slice(10, 20))


def test_without_bone_is_everything() -> None:
    assert bone_box(np.zeros((9, 8, 7), np.int16), (1.0, 1.0, 1.0)) == (slice(0, 9), slice(0, 8), slice(0, 7))


def test_holds_the_femur_of_a_phantom_and_is_smaller_than_its_ct() -> None:
    phantom = make_phantom(2, size_zyx=(96, 80, 80), spacing_mm_zyx=(5.0, 3.0, 3.0))
    ct, mask = (sitk.GetArrayFromImage(image) for image in (phantom.image, phantom.mask))
    box = bone_box(ct, (5.0, 3.0, 3.0))
    assert all(a.start <= b.start and b.stop <= a.stop for a, b in zip(box, box_of(mask), strict=True))
    assert np.prod([part.stop - part.start for part in box]) < 0.8 * ct.size
