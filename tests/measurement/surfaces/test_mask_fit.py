"""Distances between a mesh and its mask, in voxels."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.imaging.surface_mesh import Surface
from nnunet_femur.measurement.surfaces.mask_fit import MaskSurfaces
from nnunet_femur.measurement.surfaces.surface_distance import samples_of
from tests.measurement.closed_meshes import MIRRORED, TURNED, ellipsoid

SPACING = (1.0, 2.0, 4.0)


@pytest.mark.parametrize("direction", [TURNED, MIRRORED], ids=["turned", "mirrored"])
def test_the_masks_own_surface_is_at_distance_0_and_moves_in_voxels(direction: tuple[float, ...]) -> None:
    mask, geometry = ellipsoid((15, 20, 30), SPACING, direction=direction)
    surfaces = MaskSurfaces(mask, geometry)
    off_mask, missed = surfaces.distances_voxels(surfaces.rough)
    assert off_mask.max() == pytest.approx(0, abs=1e-4)
    assert missed.max() < 0.5, "smoothing moves no point by more than half a voxel along an axis"
    assert len(off_mask) == len(samples_of(surfaces.rough))
    # A shift by 4 mm along the third axis is one voxel: the tip is off by 1.
    axis = np.reshape(direction, (3, 3))[:, 2]
    shifted = Surface(surfaces.rough.points_mm + 4 * axis, surfaces.rough.triangles)
    assert surfaces.distances_voxels(shifted)[0].max() == pytest.approx(1, abs=0.01)
    fit = surfaces.fit_of(shifted, 3.0, surfaces.distances_voxels(shifted))
    assert fit.off_mask_mm == pytest.approx(4, abs=0.05)
    assert fit.mask_volume_ml == pytest.approx(mask.sum() * 0.008)


def test_fragments_and_cavities() -> None:
    mask, geometry = ellipsoid((15, 15, 15), (1, 1, 1))
    mask[18, 18, 18:20] = 0
    mask[1, 1, 1] = mask[1, 1, 3] = 1
    surfaces = MaskSurfaces(mask, geometry)
    assert surfaces.pieces_left_out == 2
    assert surfaces.cavities_ml == pytest.approx(0.002)
    assert surfaces.mask_ml == pytest.approx(mask.sum() / 1000)
    fit = surfaces.fit_of(surfaces.rough, 1.0, surfaces.distances_voxels(surfaces.rough))
    assert (fit.pieces_left_out, fit.mask_genus) == (2, 0)


def test_the_largest_piece_stays_however_small_it_is() -> None:
    mask, geometry = ellipsoid((3, 3, 3), (1, 1, 1))
    mask[0, 0, 0] = 1
    surfaces = MaskSurfaces(mask, geometry)
    assert surfaces.pieces_left_out == 1
    assert surfaces.smooth.volume_ml == pytest.approx((mask.sum() - 1) / 1000, rel=0.1)
