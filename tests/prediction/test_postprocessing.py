"""Hand-made masks."""

from __future__ import annotations

import numpy as np

from nnunet_femur.imaging.boxes import box_of
from nnunet_femur.prediction.postprocessing import fill_holes, keep_largest, label_pieces


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
