"""Side and direction of whole phantom femurs, from a coarse copy of their mask."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nnunet_femur.measurement.shape.coarse_anatomy import coarse_anatomy
from tests.measurement.leg_masks import GRID, UP, ball, cut, femur, grid_of, leg, mirrored_beside

DIRECTION = np.reshape(GRID.direction, (3, 3))


def _turned(matrix: np.ndarray):
    return replace(GRID, direction=tuple((matrix @ DIRECTION).ravel().tolist()))


class TestWholeFemur:
    @pytest.mark.parametrize("seed", [0, 1])
    def test_side_and_directions(self, seed):
        found = coarse_anatomy(femur(seed), GRID)
        assert found.side == "right"
        assert found.up @ UP > 0.97
        assert found.medial[0] > 0.9
        assert found.posterior[1] > 0.9
        assert np.linalg.norm(found.head.center_mm - leg(seed).head_mm) < 1.5

    def test_in_any_direction(self):
        for matrix in Rotation.random(4, random_state=3).as_matrix():
            found = coarse_anatomy(femur(0), _turned(matrix))
            assert found.side == "right"
            assert found.up @ matrix @ UP > 0.97

    @pytest.mark.parametrize("mirrored", [(-1, 1, 1), (1, -1, 1), (1, 1, -1)])
    def test_is_the_other_side_in_a_mirror(self, mirrored):
        assert coarse_anatomy(femur(0), _turned(np.diag(mirrored))).side == "left"

    def test_at_finer_voxels(self):
        fine = np.repeat(np.repeat(np.repeat(femur(0), 3, axis=0), 2, axis=1), 2, axis=2)
        spacing = (1.0, 1.0, 1.0)
        assert coarse_anatomy(fine, replace(GRID, size_xyz=fine.shape[::-1], spacing_mm_xyz=spacing)).side == "right"


class TestUncertainMask:
    @pytest.mark.parametrize(
        "mask",
        [
            np.zeros((9, 9, 9), bool),
            cut(femur(0), 0.05, -UP),
            cut(femur(0), 0.05),
            cut(femur(0), 0.7, -UP),
            mirrored_beside(femur(0)),
            mirrored_beside(femur(0), overlap_voxels=-6),
            ball((0, 0, 200), 30.0),
        ],
        ids=["empty", "knee-cut", "head-cut", "proximal-part", "joined", "two-femurs", "ball"],
    )
    def test_has_no_side(self, mask):
        assert coarse_anatomy(mask, grid_of(mask)) is None

    def test_of_very_thick_slices(self):
        thick = femur(0)[::3]
        grid = replace(GRID, size_xyz=thick.shape[::-1], spacing_mm_xyz=(2.0, 2.0, 9.0))
        assert coarse_anatomy(thick, grid) is None
