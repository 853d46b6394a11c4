"""Parts of a femur that a mask contains: phantom legs, cut, joined to other bones and damaged; and other solids."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.measurement.femur_measurements import Missing
from nnunet_femur.measurement.measuring import measure_mask
from nnunet_femur.measurement.quantities import SHAPE_QUANTITIES
from nnunet_femur.measurement.shape.border import border_contacts
from nnunet_femur.measurement.shape.completeness import PARTS, Completeness, examine
from nnunet_femur.measurement.shape.mesh import BoneMesh
from tests.measurement.leg_masks import (
    GRID,
    UP,
    ball,
    cut,
    femur,
    grid_of,
    holed,
    leg,
    mirrored_beside,
    noisy,
    pelvis,
    without_head,
)

SEEDS = (0, 1, 2)
OF_ANY_BONE = {each.key for each in SHAPE_QUANTITIES if each.needs == "bone"}
OF_PROXIMAL_PART = {each.key for each in SHAPE_QUANTITIES if each.needs != "whole"}
TILTED = np.array([0.35, 0.3, 1.0])
"""25 degrees from the shaft."""


def reasons(mask: np.ndarray, geometry: Geometry | None = None) -> dict[str, str]:
    """The code of the reason of each part that is missing."""
    geometry = geometry or grid_of(mask)
    border = border_contacts(mask, geometry)
    _, state = examine(BoneMesh.of_mask(mask, geometry), border=border, voxel_mm=max(geometry.spacing_mm_xyz))
    return {part: reason.code for part, reason in state.reasons.items()}


def refused(*codes: str) -> list[dict[str, str]]:
    """All parts with one of the codes."""
    return [dict.fromkeys(PARTS, code) for code in codes]


class TestWholeFemur:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_is_whole(self, seed):
        assert reasons(femur(seed)) == {}

    def test_upside_down_and_along_other_axes(self):
        assert reasons(np.ascontiguousarray(femur(0)[::-1])) == {}
        turned = Geometry(GRID.size_xyz[::-1], GRID.spacing_mm_xyz[::-1], (0, 0, 0), (0, 0, 1, 0, 1, 0, -1, 0, 0))
        assert reasons(femur(0).transpose(2, 1, 0), turned) == {}

    def test_that_fills_its_volume(self):
        """The mask of 3D Slicer covers the box of the bone only."""
        found = ndimage.find_objects(femur(0).astype(np.uint8))[0]
        assert reasons(femur(0)[found]) == {}

    @pytest.mark.parametrize(
        "damage",
        [
            ndimage.binary_erosion,
            ndimage.binary_dilation,
            lambda mask: noisy(mask, 0.05),
            lambda mask: noisy(mask, 0.2),
            holed,
        ],
        ids=["eroded", "dilated", "noise-5", "noise-20", "holed"],
    )
    def test_after_damage_keeps_its_head(self, damage):
        anatomy, state = examine(BoneMesh.of_mask(damage(femur(1)), GRID), voxel_mm=3.0)
        assert state.is_whole
        assert anatomy.side == "right"
        assert np.linalg.norm(anatomy.head.center_mm - leg(1).head_mm) < 1.0


class TestCutKnee:
    @pytest.mark.parametrize(("share", "seed"), [(0.03, 0), (0.05, 1), (0.1, 2), (0.33, 0)])
    @pytest.mark.parametrize("normal", [-UP, TILTED * [1, 1, -1]], ids=["flat", "oblique"])
    def test_leaves_the_proximal_part(self, share, normal, seed):
        assert reasons(cut(femur(seed), share, normal)) == {"whole": "distal-end-cut"}

    def test_keeps_the_values_of_head_and_neck(self):
        whole, part = (measure_mask(mask, GRID) for mask in (femur(0), cut(femur(0), 0.3, -UP)))
        assert set(part.values) == OF_PROXIMAL_PART
        assert set(part.missing) == {each.key for each in SHAPE_QUANTITIES} - OF_PROXIMAL_PART
        assert {reason.code for reason in part.missing.values()} == {"distal-end-cut"}
        for key in ("head_radius_mm", "neck_shaft_angle_deg", "offset_mm"):
            assert part[key] == pytest.approx(whole[key], abs=0.05)
        assert part["neck_width_min_mm"] == pytest.approx(whole["neck_width_min_mm"], abs=0.3)
        assert (whole.side, part.side) == ("right", "unknown")

    def test_by_the_border_of_the_volume_is_found_earlier(self):
        """A loss of 1 % is visible because the bone touches the last slice of its volume."""
        first = int(np.flatnonzero(femur(0).any(axis=(1, 2)))[0])
        assert reasons(femur(0)[first + 2 :])["whole"] == "distal-end-cut"

    def test_round_stump_without_condyles(self):
        """Not every loss is planar: a network may lose an end."""
        z_mm = 0.25 * leg(0).length_mm
        part = femur(0).copy()
        part[: int((z_mm - GRID.origin_mm_xyz[2]) / 3)] = False
        stump = femur(0) & ball((-0.1 * leg(0).length_mm * 0.25, 2.0, z_mm), 17.0)
        assert reasons(part | stump)["whole"] in ("distal-end-missing", "distal-end-cut")

    def test_of_a_proximal_part_of_20_cm_keeps_its_angle(self):
        """The usual field of view of a hip: the shaft is long enough for its proximal axis."""
        whole, part = (measure_mask(mask, GRID) for mask in (femur(0), cut(femur(0), 0.53, -UP)))
        assert set(part.values) == OF_PROXIMAL_PART
        assert part["neck_shaft_angle_deg"] == pytest.approx(whole["neck_shaft_angle_deg"], abs=0.1)

    @pytest.mark.parametrize("share", [0.7, 0.85])
    def test_of_a_shorter_part_refuses_all(self, share):
        assert set(reasons(cut(femur(0), share, -UP)).values()) <= {"not-femur", "too-short"}


class TestCutHead:
    @pytest.mark.parametrize(("share", "seed"), [(0.03, 0), (0.05, 1), (0.3, 0)])
    @pytest.mark.parametrize("normal", [UP, TILTED], ids=["flat", "oblique"])
    def test_refuses_everything_but_volume_and_area(self, share, normal, seed):
        assert reasons(cut(femur(seed), share, normal)) in refused("proximal-end-cut", "head-missing")

    @pytest.mark.parametrize("seed", SEEDS[:2])
    def test_resected_at_the_neck(self, seed):
        assert reasons(without_head(seed)) in refused("head-missing", "proximal-end-cut")

    def test_leaves_volume_and_area(self):
        part = measure_mask(cut(femur(0), 0.05), GRID)
        assert set(part.values) == OF_ANY_BONE
        assert part.anatomy.head is None

    def test_and_cut_knee(self):
        middle = cut(cut(femur(0), 0.2), 0.25, -UP)
        assert reasons(middle) in refused("head-missing", "proximal-end-cut", "not-femur")


class TestSeveralBones:
    def test_both_femurs_joined_at_the_hip(self):
        assert reasons(mirrored_beside(femur(0))) in refused("not-femur", "two-bones")

    def test_two_femurs_side_by_side(self):
        both = femur(0).copy()
        both[:, :, 20:] |= femur(0)[:, :, :-20]
        assert reasons(both) in refused("two-bones", "head-missing", "not-femur")

    def test_both_proximal_femurs_joined_at_the_hip(self):
        assert reasons(mirrored_beside(cut(femur(0), 0.5, -UP))) in refused("not-femur", "two-bones", "head-missing")

    def test_femurs_end_to_end(self):
        assert reasons(np.concatenate([femur(0), femur(1)[3:]])) in refused("two-bones")

    @pytest.mark.parametrize("seed", SEEDS[:2])
    def test_femur_and_pelvis(self, seed):
        assert reasons(femur(seed) | pelvis(seed)) in refused(
            "not-femur", "head-missing", "two-bones", "proximal-end-cut"
        )

    def test_pelvis_alone(self):
        assert reasons(pelvis(0)) in refused("not-femur", "too-short", "head-missing")


def _solid(name: str) -> np.ndarray:
    z, y, x = (n - half for n, half in zip(np.indices((140, 60, 60)), (70, 30, 30), strict=True))
    x, y, z = 2.0 * x, 2.0 * y, 3.0 * z
    across = np.hypot(x, y)
    return {
        "sphere": np.hypot(across, z) < 30,
        "box": (np.abs(x) < 30) & (np.abs(y) < 25) & (np.abs(z) < 180),
        "cylinder": (across < 15) & (np.abs(z) < 190),
        "capsule": np.hypot(across, np.clip(np.abs(z) - 170, 0, None)) < 24,
        "dumbbell": ((across < 14) & (np.abs(z) < 160)) | (np.hypot(across, np.abs(z) - 160) < 24),
        "plate": (np.abs(x) < 50) & (np.abs(y) < 4) & (np.abs(z) < 180),
        "full": np.ones(x.shape, bool),
        "line": (across < 1) & (np.abs(z) < 190),
    }[name]


class TestOtherSolids:
    @pytest.mark.parametrize("name", ["sphere", "box", "cylinder", "capsule", "dumbbell", "plate", "full", "line"])
    def test_have_no_landmarks(self, name):
        found = measure_mask(_solid(name), grid_of(_solid(name)))
        assert set(found.values) <= OF_ANY_BONE
        assert found.side == "unknown"
        assert {found.missing[key].code for key in found.missing} <= {
            *("not-femur", "head-missing", "two-bones", "too-short", "too-small", "proximal-end-cut")
        }

    @pytest.mark.parametrize("voxels", [0, 1, 2, 5])
    def test_of_a_few_voxels(self, voxels):
        mask = np.zeros((20, 20, 20), bool)
        mask[10, 10, 5 : 5 + voxels] = True
        found = measure_mask(mask, grid_of(mask))
        assert set(found.values) <= OF_ANY_BONE
        assert set(found.values) | set(found.missing) == {each.key for each in SHAPE_QUANTITIES}

    def test_noise(self):
        mask = np.random.default_rng(0).random((40, 40, 40)) < 0.3
        assert set(measure_mask(mask, grid_of(mask)).values) <= OF_ANY_BONE


class TestReason:
    def test_of_a_part_comes_before_that_of_a_quantity(self):
        cut_off, bump = Missing("distal-end-cut", "Cut."), Missing("head-protrusion", "Bump.")
        state = Completeness({"whole": cut_off}, {"length_longest_mm": bump, "other": bump})
        assert state.reason("whole", "length_longest_mm") == cut_off
        assert state.reason("head", "other") == bump
        assert state.reason("head", "head_radius_mm") is None
        assert not state.is_whole
        assert Completeness().is_whole
