"""Bones that the border of a volume cuts, and bones that only touch it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnunet_femur.imaging.boxes import box_of
from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.measurement.shape.border import border_contacts

GRID = Geometry((40, 40, 50), (2.0, 2.0, 3.0), (100.0, -50.0, 7.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def ball(center_zyx=(25, 20, 20), radius_mm: float = 24.0) -> np.ndarray:
    offsets = [(n - c) * s for n, c, s in zip(np.indices((50, 40, 40)), center_zyx, (3, 2, 2), strict=True)]
    return np.sqrt(sum(offset**2 for offset in offsets)) < radius_mm


class TestBorderContacts:
    def test_of_a_bone_inside(self):
        assert border_contacts(ball(), GRID) == ()
        assert border_contacts(np.zeros((50, 40, 40), bool), GRID) == ()

    @pytest.mark.parametrize(
        ("center", "axis_xyz", "at_mm"),
        [((3, 20, 20), 2, 7.0), ((46, 20, 20), 2, 7.0 + 49 * 3), ((25, 5, 20), 1, -50.0), ((25, 20, 34), 0, 178.0)],
    )
    def test_of_a_cut_bone(self, center, axis_xyz, at_mm):
        (contact,) = border_contacts(ball(center), GRID)
        assert contact.center_mm[axis_xyz] == pytest.approx(at_mm)
        assert 0.3 < contact.share < 1

    def test_area_and_share_of_a_bar(self):
        bar = np.zeros((50, 40, 40), bool)
        bar[30:, 10:20, 10:15] = True
        (contact,) = border_contacts(bar, GRID)
        assert (contact.area_mm2, contact.share) == (10 * 5 * 4, 1)
        assert contact.center_mm.tolist() == [100 + 2 * 12, -50 + 2 * 14.5, 7 + 3 * 49]

    def test_follows_the_directions_of_the_header(self):
        turned = replace(GRID, direction=(0, -1, 0, 1, 0, 0, 0, 0, -1))
        bar = np.zeros((50, 40, 40), bool)
        bar[30:, 10:20, 10:15] = True
        (contact,) = border_contacts(bar, turned)
        assert contact.center_mm.tolist() == [100 - 2 * 14.5, -50 + 2 * 12, 7 - 3 * 49]

    def test_of_a_mask_in_the_box_of_the_bone(self):
        """3D Slicer saves the box of a segment: the bone touches all six faces, and none cuts it."""
        mask = ball()
        box = mask[box_of(mask)]
        assert border_contacts(box, replace(GRID, size_xyz=box.shape[::-1])) == ()

    def test_of_a_cut_bone_in_its_box(self):
        mask = ball()
        mask[30:] = False
        box = mask[box_of(mask)]
        (contact,) = border_contacts(box, replace(GRID, size_xyz=box.shape[::-1]))
        assert contact.center_mm[2] == pytest.approx(7.0 + 3 * (len(box) - 1))

    def test_of_one_slice(self):
        assert border_contacts(np.ones((1, 40, 40), bool), replace(GRID, size_xyz=(40, 40, 1)))
