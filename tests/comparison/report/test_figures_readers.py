"""Figures of second readers and of calibration: the values that their lines show."""

import numpy as np
import pytest

from nnunet_femur.comparison.calibration.calibrating_predictions import calibrate_predictions
from nnunet_femur.comparison.discovery import discover
from nnunet_femur.comparison.grouping import group_scores
from nnunet_femur.comparison.raters import add_raters
from nnunet_femur.comparison.report.drawing import INK, style
from nnunet_femur.comparison.report.figures.box_plots import draw_boxes
from nnunet_femur.comparison.report.figures.profiles import draw_profiles
from nnunet_femur.comparison.report.figures.reliability_plots import draw_reliability
from nnunet_femur.comparison.report.figures.slice_images import SliceReader
from nnunet_femur.comparison.report.report_data import ReportData
from nnunet_femur.comparison.scoring import score_predictions
from nnunet_femur.comparison.statistics.analysis import analyse_groups
from nnunet_femur.evaluation import Scoring
from tests.comparison.conftest import bone, write

SCRATCH = "FemurScratchTrainer__nnUNetPlans__3d_fullres"


@pytest.fixture
def data(tree):
    """A method with probabilities, and a reader whose mask of one case has a Dice of 0.75."""
    folder = tree.test(SCRATCH)
    p = np.where(bone() > 0, 0.9, 0.0).astype(np.float32)
    for case in ("L6", "R7"):
        np.savez_compressed(folder / f"{case}.npz", probabilities=np.stack([1 - p, p]))
    found = discover(tree.results)
    write(tree.base / "reader" / "L6.nrrd", bone(1))
    add_raters(found, {"Dr. B": tree.base / "reader"})
    scored = score_predictions(found.predictions)
    calibrated = calibrate_predictions(found.predictions, scoring=Scoring())
    scores = calibrated.with_scores(scored.scores)
    statistics = analyse_groups(group_scores(scores, raters=scored.raters))
    return ReportData(scored, found.predictions, statistics, calibrated=calibrated)


def _dashed(axes):
    return [line for line in axes.lines if line.get_linestyle() == "--" and line.get_color() == INK]


def test_a_line_at_the_median_of_the_reader(data):
    with style():
        (sketch,) = draw_boxes(data, SliceReader())
    (line,) = _dashed(sketch.figure.axes[0])
    assert list(line.get_xdata()) == [0.75, 0.75]
    assert [text.get_text() for text in sketch.figure.axes[0].texts] == ["Dr. B"]
    assert "Dr. B" in sketch.caption
    labels = [label.get_text() for label in sketch.figure.axes[0].get_yticklabels()]
    assert labels == ["FemurScratch · 3d_fullres\nn = 2"]


def test_a_line_along_the_bone(data):
    with style():
        (sketch,) = draw_profiles(data, SliceReader())
    assert len(_dashed(sketch.figure.axes[0])) == 1


def test_reliability_of_all_cases(data):
    with style():
        (sketch,) = draw_reliability(data, SliceReader())
    (axes,) = (one for one in sketch.figure.axes if one.axison)
    curve = next(line for line in axes.lines if line.get_marker() == "o")
    # 0.9 in the femur, which is right everywhere; 0 elsewhere.
    np.testing.assert_allclose(curve.get_xdata(), [0, 0.9], atol=1e-6)
    np.testing.assert_allclose(curve.get_ydata(), [0, 1])
    assert axes.texts[0].get_text() == f"ECE {0.1 * 64 / (8 * 11 * 12):.3f}"
