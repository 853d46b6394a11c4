"""Postprocessing and plausibility of hand-made masks."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.imaging.boxes import box_of
from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.prediction.postprocessing import check_plausibility, fill_holes, keep_largest, label_pieces
from tests.refusing import names


def _cube() -> np.ndarray:
    mask = np.zeros((8, 8, 8), np.uint8)
    mask[1:6, 1:6, 1:6] = 1
    return mask


class TestKeepLargest:
    def test_drops_the_smaller_piece(self) -> None:
        mask = _cube()
        mask[7, 7, 7] = 1
        assert np.array_equal(keep_largest(mask), _cube())

    def test_a_corner_holds_pieces_together(self) -> None:
        mask = _cube()
        mask[6, 6, 6] = 1
        assert np.array_equal(keep_largest(mask), mask)
        assert label_pieces(mask)[1].tolist() == [126]

    def test_an_empty_mask_stays_empty(self) -> None:
        assert not keep_largest(np.zeros((3, 3, 3), np.uint8)).any()


class TestFillHoles:
    def test_fills_a_cavity(self) -> None:
        mask = _cube()
        mask[3, 3, 3] = 0
        assert np.array_equal(fill_holes(mask), _cube())

    def test_a_diagonal_gap_is_no_way_out(self) -> None:
        mask = np.ones((3, 3, 3), np.uint8)
        mask[1, 1, 1] = mask[0, 0, 1] = 0
        expected = np.ones((3, 3, 3), np.uint8)
        expected[0, 0, 1] = 0
        assert np.array_equal(fill_holes(mask), expected)

    def test_what_is_open_at_the_border_stays_open(self) -> None:
        mask = np.ones((4, 3, 3), np.uint8)
        mask[:3, 1, 1] = 0
        assert np.array_equal(fill_holes(mask), mask)

    def test_an_empty_mask_stays_empty(self) -> None:
        assert not fill_holes(np.zeros((3, 3, 3), np.uint8)).any()


def test_the_box_has_the_margin_that_there_is_room_for() -> None:
    assert box_of(_cube(), margin=2) == (slice(0, 8), slice(0, 8), slice(0, 8))
    assert box_of(_cube()) == (slice(1, 6), slice(1, 6), slice(1, 6))


LPS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
RAI = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0)
ASR = (0.0, 0.0, -1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
"""Axes x, y, z lead to anterior, superior and right."""


def _geometry(direction: tuple[float, ...] = LPS) -> Geometry:
    """Voxels of 1 ml."""
    return Geometry((20, 20, 20), (10.0, 10.0, 10.0), (0.0, 0.0, 0.0), direction)


def _mask(*parts: tuple[slice, slice, slice]) -> np.ndarray:
    mask = np.zeros((20, 20, 20), np.uint8)
    for part in parts:
        mask[part] = 1
    return mask


WHOLE = (slice(2, 18), slice(5, 9), slice(5, 9))


def test_a_plausible_femur_has_no_warning() -> None:
    found = check_plausibility(_mask(WHOLE), _geometry())
    assert (found.volume_ml, found.pieces, found.cut, found.warnings) == (256.0, 1, (), ())


def test_an_empty_mask_has_a_warning() -> None:
    found = check_plausibility(_mask(), _geometry())
    assert (found.volume_ml, found.pieces) == (0.0, 0)
    assert len(found.warnings) == 1


def test_pieces_are_reported_with_their_volumes() -> None:
    found = check_plausibility(_mask(WHOLE, (slice(2, 5), slice(15, 17), slice(15, 17))), _geometry())
    assert found.pieces == 2
    (warning,) = found.warnings
    assert names(warning, "2 pieces", "256.0, 12.0 ml")


def test_fragments_do_not_count_as_pieces() -> None:
    small = Geometry((20, 20, 20), (5.0, 9.0, 9.0), (0.0, 0.0, 0.0), LPS)
    mask = _mask(WHOLE, (slice(2, 3), slice(15, 16), slice(15, 16)))
    found = check_plausibility(mask, small)
    assert found.pieces == 1
    (warning,) = found.warnings
    assert names(warning, "1 fragment")


@pytest.mark.parametrize(
    ("direction", "side"), [(LPS, ("inferior",)), (RAI, ("superior",)), (ASR, ("left",))], ids=["LPS", "RAI", "ASR"]
)
def test_the_side_of_a_cut_is_the_patients(direction: tuple[float, ...], side: tuple[str, ...]) -> None:
    found = check_plausibility(_mask((slice(0, 16), slice(5, 9), slice(5, 9))), _geometry(direction))
    assert found.cut == side
    (warning,) = found.warnings
    assert names(warning, *side)


def test_a_volume_that_no_femur_has() -> None:
    (warning,) = check_plausibility(_mask((slice(5, 8), slice(5, 8), slice(5, 8))), _geometry()).warnings
    assert names(warning, "27 ml", 100, "900 ml")
    cut = check_plausibility(_mask((slice(0, 8), slice(5, 8), slice(5, 8))), _geometry())
    assert len(cut.warnings) == 1, "a part of a femur may be small"
