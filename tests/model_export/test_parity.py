"""Counting differing voxels, and the grid of the phantom."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.model_export.parity import FoldParity, Parity, phantom_grid


class TestFoldParity:
    def test_counts(self) -> None:
        ours, exported = np.zeros((2, 3, 4), bool), np.zeros((2, 3, 4), bool)
        ours[0, 0, :3] = exported[0, 0, 1:] = True
        assert FoldParity.of_masks("2", ours, exported) == FoldParity("2", 3, 3, 3, 2)

    @pytest.mark.parametrize(("femur", "differing", "agrees"), [(10_000, 1, True), (9_999, 1, False), (0, 0, True)])
    def test_agrees_up_to_one_in_ten_thousand(self, femur: int, differing: int, *, agrees: bool) -> None:
        assert FoldParity("0", femur, 0, femur, differing).agrees is agrees

    @pytest.mark.parametrize(("surface", "differing", "agrees"), [(2000, 1, True), (1999, 1, False), (9000, 4, True)])
    def test_of_ragged_masks_agrees_up_to_one_in_two_thousand(
        self, surface: int, differing: int, *, agrees: bool
    ) -> None:
        assert FoldParity("0", 9_000, surface, 9_000, differing).agrees is agrees

    def test_surface_of_a_cube(self) -> None:
        """A cube of 4 voxels around one of 2; voxels at the border of the volume are at the surface, too."""
        cube = np.zeros((6, 6, 6), bool)
        cube[1:5, 1:5, 1:5] = True
        assert FoldParity.of_masks("0", cube, cube).surface_voxels == 64 - 8
        assert FoldParity.of_masks("0", cube[1:5, 1:5, 1:5], cube[1:5, 1:5, 1:5]).surface_voxels == 64 - 8


def test_parity_adds_folds() -> None:
    parity = Parity("a CT", "a program", "cpu", "float32", (FoldParity("0", 5, 5, 5, 0), FoldParity("1", 7, 6, 8, 1)))
    assert (parity.femur_voxels, parity.differing_voxels) == (12, 1)
    assert parity.as_dict()["folds"]["1"] == {
        "femur_voxels": 7,
        "surface_voxels": 6,
        "exported_voxels": 8,
        "differing_voxels": 1,
    }
    assert parity.as_dict()["femur_found"]


class TestPhantomGrid:
    def test_fills_one_and_a_half_windows_along_the_bone(self) -> None:
        size, spacing = phantom_grid([32, 16, 16], [6.0, 4.0, 4.0], [0, 1, 2])
        assert spacing == (7.5, 5.0, 5.0)
        # 1.5 x 32 x 6 mm = 288 mm, and 16 x 4 mm = 64 mm.
        assert size == (38, 13, 13)

    def test_follows_the_order_of_the_plans(self) -> None:
        """Plans whose first axis is x: the bone is along their last."""
        size, spacing = phantom_grid([16, 16, 32], [4.0, 5.0, 6.0], [2, 1, 0])
        assert spacing == (7.5, 6.25, 5.0)
        assert size == (38, 13, 13)

    def test_is_not_larger_than_a_leg(self) -> None:
        size, spacing = phantom_grid([400, 400, 400], [3.0, 3.0, 3.0], [0, 1, 2])
        assert [n * mm for n, mm in zip(size, spacing, strict=True)] == pytest.approx([520, 260, 260], abs=2)

    def test_of_slices(self) -> None:
        size, spacing = phantom_grid([64, 64], [2.0, 2.0], [0, 1, 2])
        assert (size, spacing) == ((24, 51, 51), (5.0, 2.5, 2.5))
