"""Bounding boxes."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.imaging.boxes import box_at, box_of, box_within, is_empty, start_of


class TestBoxOf:
    def test_the_mask_touches_all_sides(self) -> None:
        values = np.zeros((5, 6, 7), np.int16)
        values[1, 2, 3] = values[3, 4, 3] = -1
        assert box_of(values) == (slice(1, 4), slice(2, 5), slice(3, 4))

    @pytest.mark.parametrize("seed", range(20))
    def test_any_mask(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        mask = rng.random(rng.integers(1, 9, 3)) > 0.9
        index = np.argwhere(mask)
        expected = [(0, 0)] * 3 if not len(index) else list(zip(index.min(0), index.max(0) + 1, strict=True))
        assert [(each.start, each.stop) for each in box_of(mask)] == expected

    def test_a_margin_stays_within_the_array(self) -> None:
        mask = np.zeros((5, 6), bool)
        mask[1, 3] = True
        assert box_of(mask, margin=2) == (slice(0, 4), slice(1, 6))

    def test_an_empty_mask(self) -> None:
        box = box_of(np.zeros((2, 3, 4)), margin=1)
        assert is_empty(box)
        assert np.zeros((2, 3, 4))[box].size == 0


def test_a_box_within_a_box_is_a_box_of_the_array() -> None:
    values = np.arange(10 * 11).reshape(10, 11)
    outer, inner = (slice(2, 9), slice(3, 10)), (slice(1, 4), slice(2, 5))
    np.testing.assert_array_equal(values[box_within(outer, inner)], values[outer][inner])


def test_a_box_and_its_start() -> None:
    box = box_at((1, 2, 3), (4, 5, 6))
    assert start_of(box) == (1, 2, 3)
    assert np.zeros((9, 9, 9))[box].shape == (4, 5, 6)
    assert not is_empty(box)
