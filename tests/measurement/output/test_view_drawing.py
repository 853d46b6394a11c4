"""Labels that do not overlap, and angles where they are seen."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from nnunet_femur.measurement.output.femur_views import NamedView
from nnunet_femur.measurement.output.surface_shading import View
from nnunet_femur.measurement.output.view_drawing import ViewDrawing, spread

X, Y, Z = np.eye(3)

HEIGHTS = st.lists(st.tuples(st.floats(0, 100), st.integers(1, 3)), max_size=8)


@given(HEIGHTS)
def test_labels_do_not_overlap_and_keep_their_order(labels: list[tuple[float, int]]) -> None:
    wanted, lines = [height for height, _ in labels], [count for _, count in labels]
    heights = spread(wanted, lines, 2.0, 0.0, 100.0)
    order = np.argsort(wanted, kind="stable")
    for low, high in pairwise(order):
        assert heights[high] - heights[low] >= (lines[low] + lines[high]) / 2 * 2.0 - 1e-9
    assert all(height <= 100 for height in heights)


@given(HEIGHTS)
def test_labels_with_room_stay_where_they_are(labels: list[tuple[float, int]]) -> None:
    wanted = [20.0 * number + 10 for number in range(len(labels))]
    assert spread(wanted, [count for _, count in labels], 2.0, 0.0, 200.0) == wanted


class TestArc:
    @pytest.fixture
    def drawing(self) -> ViewDrawing:
        axes = Figure().add_axes((0, 0, 1, 1))
        return ViewDrawing(axes, NamedView("front", View(up=Z, towards=-Y), "right", "left"), 50.0)

    @pytest.mark.parametrize(
        ("first", "second", "middle"),
        [
            (X, Z, (1, 1)),
            (Z, X, (1, 1)),
            (X, -Z, (1, -1)),
            (-X + 0.2 * Z, -X - 0.2 * Z, (-1, 0)),
            (X + 5 * Y, Z, (1, 1)),
        ],
    )
    def test_is_between_the_directions(self, drawing: ViewDrawing, first, second, middle) -> None:
        """The third row crosses the direction in which the angle jumps; the last has a part along the view."""
        corner = np.array([3.0, 100.0, 7.0])
        found = drawing.arc(corner, first, second, 10.0, "black")
        expected = np.array(middle) / np.linalg.norm(middle) * 10
        np.testing.assert_allclose(found, corner + expected[0] * X + expected[1] * Z, atol=1e-9)
