"""Figures of clinical measurements: which are drawn, and the numbers in them."""

import pytest

from nnunet_femur.comparison.report.drawing import style
from nnunet_femur.comparison.report.figures.clinical_plots import (
    draw_clinical_agreement,
    draw_clinical_boxes,
    draw_clinical_ranks,
)
from nnunet_femur.comparison.report.figures.slice_images import SliceReader
from tests.comparison.made import femur, measured_data

NSA = "neck_shaft_angle_deg"


def _sketches(draw, data):
    with style():
        return {sketch.name: sketch.figure for sketch in draw(data, SliceReader())}


@pytest.fixture(scope="module")
def data():
    errors = {"A": [1.0, -2.0, 4.0], "B": [0.5, None, 0.5]}
    return measured_data(
        *(
            (method, f"L{case}", femur(**{NSA: 120.0 + case}), femur(**({NSA: 120.0 + case + error} if error else {})))
            for method, of_method in errors.items()
            for case, error in enumerate(of_method)
        )
    )


def test_boxes_show_signed_errors(data):
    (figure,) = _sketches(draw_clinical_boxes, data).values()
    (axes,) = (axes for axes in figure.axes if axes.get_xlabel() == "Neck-shaft angle (3D, °)")
    points = [sorted(part.get_offsets()[:, 0]) for part in axes.collections if len(part.get_offsets()) > 1]
    assert points[:2] == [[-2.0, 1.0, 4.0], [0.5, 0.5]]


def test_agreement_has_a_panel_per_method(data):
    figures = _sketches(draw_clinical_agreement, data)
    assert [*figures] == [f"bland_altman_{NSA}_test"]
    (figure,) = figures.values()
    first, second = (axes.collections[0].get_offsets() for axes in figure.axes)
    assert first[:, 1].tolist() == [1.0, -2.0, 4.0]
    assert first[:, 0].tolist() == [120.5, 120.0, 124.0]
    assert len(second) == 2


def test_ranks_count_failures_as_worst(data):
    (figure,) = _sketches(draw_clinical_ranks, data).values()
    (axes,) = (axes for axes in figure.axes if axes.get_title(loc="left").startswith("Neck-shaft"))
    ranks = sorted(float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "o")
    # B is nearer in two of three femurs, and was not measured in the third: (1 + 2 + 1) / 3.
    assert ranks == pytest.approx([4 / 3, 5 / 3])


def test_nothing_measured_draws_empty_panels():
    data = measured_data(("A", "L0", femur(**{NSA: 120.0}), femur()))
    assert len(_sketches(draw_clinical_boxes, data)) == 1
    assert _sketches(draw_clinical_agreement, data) == {}
    assert _sketches(draw_clinical_ranks, data) == {}
