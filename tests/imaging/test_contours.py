"""Contours of a mask: exactly its pixels are inside, by any rule, and the contours are simple polygons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from matplotlib.path import Path
from scipy.ndimage import label

from nnunet_femur.imaging.contours import INSET, contours_of, pixels_inside

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9), elements=st.booleans())


def _area(contour: np.ndarray) -> float:
    x, y = contour.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def _winding_inside(contours: list[np.ndarray], shape_yx: tuple[int, ...]) -> np.ndarray:
    """Pixels by matplotlib, which applies the non-zero rule to each contour; no pixel may be in two contours."""
    y, x = np.indices(shape_yx)
    points = np.column_stack([x.ravel(), y.ravel()])
    count = sum(Path([*each, each[0]], closed=True).contains_points(points).astype(int) for each in contours)
    return np.reshape(count, shape_yx) if contours else np.zeros(shape_yx, int)


class TestContours:
    @pytest.mark.parametrize(
        ("rows", "points", "areas"),
        [
            (["#"], [4], [1]),
            (["##", "##"], [4], [4]),
            (["##", "#."], [6], [3]),
            # Pixels that touch at a corner only have contours of their own.
            (["#.", ".#"], [4, 4], [1, 1]),
            # A ring: four corners outside, four inside, and two ends of the channel at the outer edge.
            (["###", "#.#", "###"], [4 + 4 + 2], [8]),
            # The background in the middle is open to the outside by corners, so it is not a cavity.
            ([".#.", "#.#", ".#."], [4, 4, 4, 4], [1, 1, 1, 1]),
        ],
    )
    def test_of_known_shapes(self, rows, points, areas):
        mask = np.array([[pixel == "#" for pixel in row] for row in rows])
        found = contours_of(mask)
        assert [len(each) for each in found] == points
        assert [_area(each) for each in found] == pytest.approx(areas, abs=18 * INSET)

    def test_are_within_the_edges_of_the_pixels(self):
        (square,) = contours_of(np.ones((1, 2)))
        inset = INSET
        expected = {(inset, inset), (2 - inset, inset), (2 - inset, 1 - inset), (inset, 1 - inset)}
        assert {(x + 0.5, y + 0.5) for x, y in square.tolist()} == expected

    def test_of_nothing(self):
        assert contours_of(np.zeros((3, 4), np.uint8)) == []

    @given(MASKS)
    def test_contain_exactly_the_pixels(self, mask):
        found = contours_of(mask)
        np.testing.assert_array_equal(pixels_inside(found, mask.shape), mask)
        np.testing.assert_array_equal(_winding_inside(found, mask.shape), mask)
        assert len(found) == label(mask)[1]

    @given(MASKS)
    def test_round_to_pixels_of_the_mask(self, mask):
        """Programs such as rt-utils round the points, and draw the contour itself, too."""
        for contour in contours_of(mask):
            rounded = np.rint(contour).astype(int)
            for (x, y), (next_x, next_y) in zip(rounded, np.roll(rounded, -1, axis=0), strict=True):
                assert x == next_x or y == next_y
                rows, columns = sorted((y, next_y)), sorted((x, next_x))
                assert mask[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1].all()


class TestPixels:
    def test_of_a_slanted_contour(self):
        """The slanted edge is at x = 0.105 in the first row, and at x = 2.154 in the second one."""
        inside = pixels_inside([np.array([[-0.1, -0.1], [4.1, -0.1], [4.1, 1.95]])], (3, 5))
        assert inside.sum(axis=1).tolist() == [4, 2, 0]
        assert inside[0].tolist() == [False, True, True, True, True]
        assert inside[1].tolist() == [False, False, False, True, True]

    def test_of_a_contour_in_another_one_are_a_cavity(self):
        outer = np.array([[-0.5, -0.5], [4.5, -0.5], [4.5, 4.5], [-0.5, 4.5]])
        inner = np.array([[1.5, 1.5], [2.5, 1.5], [2.5, 2.5], [1.5, 2.5]])
        expected = np.ones((5, 5), bool)
        expected[2, 2] = False
        for hole in (inner, inner[::-1]):
            np.testing.assert_array_equal(pixels_inside([outer, hole], (5, 5)), expected)

    def test_beyond_the_picture_are_left_out(self):
        around = np.array([[-9, -9], [99, -9], [99, 99], [-9, 99]])
        assert pixels_inside([around], (2, 3)).all()
        assert not pixels_inside([around + 200], (2, 3)).any()
