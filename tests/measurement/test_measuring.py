"""Masks that are no femur, damaged femurs, and storage: values or reasons, never an exception."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.imaging.geometry import AxisOrder, Geometry
from nnunet_femur.measurement.measuring import measure_mask, measure_surface
from nnunet_femur.measurement.quantities import QUANTITIES, SHAPE_QUANTITIES
from nnunet_femur.testing.voxelising import grid_around, voxelise
from tests.measurement.solids import IDENTITY, femur, grid_of

SHAPE_KEYS = {quantity.key for quantity in SHAPE_QUANTITIES}
ANY_PIECE = {"volume_ml", "surface_area_cm2"}


def _everything_is_explained(found) -> bool:
    return set(found.values) | set(found.missing) == SHAPE_KEYS and not set(found.values) & set(found.missing)


@pytest.fixture(scope="module")
def whole():
    """A mask of 3 mm of the average femur, and its measurements."""
    surface = femur().surface
    grid = grid_around(surface, (3.0, 3.0, 3.0), shift_voxels_xyz=(0.2, 0.5, 0.8))
    mask = voxelise(surface, grid)
    return mask, grid, measure_mask(mask, grid)


def _junk():
    rng = np.random.default_rng(0)
    shape = (60, 14, 14)
    single = np.zeros(shape, bool)
    single[30, 7, 7] = True
    line = np.zeros(shape, bool)
    line[:, 7, 7] = True
    plane = np.zeros(shape, bool)
    plane[30] = True
    z, y, x = np.indices((50, 50, 50))
    ball = (z - 25) ** 2 + (y - 25) ** 2 + (x - 25) ** 2 < 400
    return {
        "empty": np.zeros(shape),
        "one voxel": single,
        "line": line,
        "plane": plane,
        "full": np.ones(shape),
        "noise": rng.random(shape) < 0.3,
        "sparse noise": rng.random(shape) < 0.01,
        "ball": ball,
        "no voxels": np.zeros((0, 3, 3)),
    }


@pytest.mark.parametrize("name", _junk())
def test_no_femur_has_reasons_and_no_angle(name):
    mask = _junk()[name]
    found = measure_mask(mask, grid_of(mask.shape, 6.0))
    assert _everything_is_explained(found)
    assert set(found.values) <= ANY_PIECE
    assert all(reason.code and reason.text.endswith(".") for reason in found.missing.values())
    assert found.side == "unknown"


def test_a_whole_femur_has_every_value(whole):
    _, _, found = whole
    assert set(found.values) == SHAPE_KEYS
    assert (found.side, found.side_source) == ("right", "shape")
    assert all(isinstance(found[key], tuple if QUANTITIES[key].is_vector else float) for key in SHAPE_KEYS)


def test_the_side_of_a_label_is_kept(whole):
    mask, grid, _ = whole
    found = measure_mask(mask, grid, side="left")
    assert (found.side, found.side_source) == ("left", "label")


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_storage_changes_nothing(whole, seed):
    mask, grid, found = whole
    rng = np.random.default_rng(seed)
    order = AxisOrder(tuple(int(a) for a in rng.permutation(3)), tuple(bool(f) for f in rng.integers(0, 2, 3)))
    other = measure_mask(np.ascontiguousarray(order.of_array(mask)), order.of_geometry(grid))
    assert other.side == found.side
    for key in SHAPE_KEYS:
        assert other[key] == pytest.approx(found[key], abs=0.05), key


def test_a_mirrored_header_is_the_other_side_with_the_same_values(whole):
    mask, grid, found = whole
    flipped = Geometry(grid.size_xyz, grid.spacing_mm_xyz, grid.origin_mm_xyz, (-1, 0, 0, 0, 1, 0, 0, 0, 1))
    other = measure_mask(mask, flipped)
    assert other.side == "left"
    for key in SHAPE_KEYS:
        if not QUANTITIES[key].is_vector:
            assert other[key] == pytest.approx(found[key], abs=0.05), key
    assert other["head_center_mm_lps"][2] == pytest.approx(found["head_center_mm_lps"][2], abs=0.05)


def _speck(mask):
    damaged = mask.copy()
    damaged[2:5, 1:4, 1:4] = 1
    return damaged


def _noisy(mask):
    from scipy import ndimage

    edge = ndimage.binary_dilation(mask) & ~ndimage.binary_erosion(mask)
    return mask ^ (edge & (np.random.default_rng(0).random(mask.shape) < 0.05))


def _holed(mask):
    damaged = mask.copy()
    inside = np.argwhere(mask)
    damaged[tuple(np.random.default_rng(0).choice(inside, 200).T)] = 0
    return damaged


@pytest.mark.parametrize("damage", [_speck, _noisy, _holed])
def test_small_defects_hardly_change_angles(whole, damage):
    mask, grid, found = whole
    other = measure_mask(damage(mask), grid)
    assert _everything_is_explained(other)
    assert other.side == "right"
    for key in ("neck_shaft_angle_deg", "version_neck_deg", "mldfa_deg", "anatomical_mechanical_angle_deg"):
        assert other[key] == pytest.approx(found[key], abs=1.5), key
    assert other["head_center_mm_lps"] == pytest.approx(found["head_center_mm_lps"], abs=0.5)


def _rows(mask, part):
    rows = np.flatnonzero(mask.any(axis=(1, 2)))[part]
    kept = np.zeros_like(mask)
    kept[rows] = mask[rows]
    return kept


def test_without_the_knee_the_proximal_values_stay(whole):
    mask, grid, found = whole
    other = measure_mask(_rows(mask, slice(10, None)), grid)
    assert _everything_is_explained(other)
    assert other.missing["version_neck_deg"].code == "distal-end-cut"
    assert other["mldfa_deg"] is None
    assert other["neck_shaft_angle_deg"] == pytest.approx(found["neck_shaft_angle_deg"], abs=0.1)
    assert other["head_radius_mm"] == pytest.approx(found["head_radius_mm"], abs=0.05)
    assert other["offset_mm"] == pytest.approx(found["offset_mm"], abs=0.05)


@pytest.mark.parametrize("slices", [2, 6, 14])
def test_without_the_head_no_angle_is_left(whole, slices):
    """The condyles of this femur are perfect spheres, and still no head: they have no neck."""
    mask, grid, _ = whole
    other = measure_mask(_rows(mask, slice(None, -slices)), grid)
    assert _everything_is_explained(other)
    assert set(other.values) <= ANY_PIECE
    assert other.missing["version_neck_deg"].code in ("head-missing", "proximal-end-cut", "neck-not-found")


def _along(grid, shape, direction):
    """Return the position of each voxel along a direction in mm."""
    index_xyz = np.indices(shape).reshape(3, -1)[::-1]
    return (((grid.steps_mm @ index_xyz).T + grid.origin_mm_xyz) @ direction).reshape(shape)


@pytest.mark.parametrize("level", [0.2, 0.5, 0.8])
def test_a_gap_in_the_shaft_gives_reasons_and_no_nan(whole, level):
    mask, grid, found = whole
    heights = _along(grid, mask.shape, found.anatomy.up)
    low, high = heights[mask > 0].min(), heights[mask > 0].max()
    other = measure_mask(mask & (np.abs(high - heights - level * (high - low)) > 6), grid)
    assert _everything_is_explained(other)
    assert other.missing["bow_anterior_mm"].code == "not-found"
    assert all(np.isfinite(value).all() for value in other.values.values())


def test_condyles_with_a_gap_between_them_are_not_found(whole):
    mask, grid, found = whole
    heights = _along(grid, mask.shape, found.anatomy.up)
    low, high = heights[mask > 0].min(), heights[mask > 0].max()
    beside = _along(grid, mask.shape, found.anatomy.medial) - found["knee_center_mm_lps"] @ found.anatomy.medial
    other = measure_mask(mask & ((np.abs(beside) > 8) | (heights > low + 0.18 * (high - low))), grid)
    assert _everything_is_explained(other)
    assert other.missing["length_mechanical_mm"].code == "condyles-not-found"
    assert other["neck_shaft_angle_deg"] == pytest.approx(found["neck_shaft_angle_deg"], abs=0.1)


def test_a_mask_at_the_border_is_cut(whole):
    mask, grid, _ = whole
    rows = np.flatnonzero(mask.any(axis=(1, 2)))
    start = int(rows[10])
    below = (*grid.origin_mm_xyz[:2], grid.origin_mm_xyz[2] + 3.0 * start)
    cropped = Geometry((*grid.size_xyz[:2], len(mask) - start), grid.spacing_mm_xyz, below, IDENTITY)
    assert measure_mask(mask[start:], cropped).missing["mldfa_deg"].code == "distal-end-cut"


def test_volume_is_that_of_the_voxels_and_of_the_surface(whole):
    mask, grid, found = whole
    assert found["volume_ml"] == pytest.approx(np.count_nonzero(mask) * 0.027)
    assert measure_surface(femur().surface)["volume_ml"] == pytest.approx(femur().volume_ml)
    assert grid.voxel_volume_ml == pytest.approx(0.027)
