"""The figure of training curves: a panel per network, and the numbers in it."""

from dataclasses import replace

import numpy as np
import pytest

from nnunet_femur.comparison.report.drawing import style
from nnunet_femur.comparison.report.figure_cache import figure_provenance
from nnunet_femur.comparison.report.figures.curve_plots import MOST_PANELS, draw_training_curves
from nnunet_femur.comparison.report.figures.slice_images import SliceReader
from nnunet_femur.comparison.training_curves import TrainingCurve
from tests.comparison.made import data_of

SCRATCH, UNET = "FemurScratchTrainer__nnUNetPlans__3d_fullres", "FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres"
VOLUMES = TrainingCurve(SCRATCH, "0", (0.5, -0.5, -0.75), (0.6, -0.4, -0.5), (0.1, 0.5, 0.9), (1.0,) * 3)
SLICES = TrainingCurve(UNET, "5", (0.4, 0.2), (), (0.8, 0.7), (1.0,) * 2, lowest=0.0)


def _data(*curves: TrainingCurve):
    return replace(data_of((SCRATCH, "test", "0", "L1", 0.9), (UNET, "test", "5", "L1", 0.8)), curves=curves)


def _panels(*curves: TrainingCurve):
    with style():
        sketches = list(draw_training_curves(_data(*curves), SliceReader()))
    return [axes for sketch in sketches for axes in sketch.figure.axes if axes.axison]


def test_losses_are_drawn_above_their_lowest_value():
    panels = _panels(VOLUMES, SLICES)
    losses = [[line.get_ydata().tolist() for line in axes.lines] for axes in panels if axes.get_yscale() == "log"]
    assert losses == [[pytest.approx([1.5, 0.5, 0.25]), pytest.approx([1.6, 0.6, 0.5])], [pytest.approx([0.4, 0.2])]]
    dice = [line.get_ydata().tolist() for axes in panels if axes.get_yscale() != "log" for line in axes.lines]
    assert dice == [[0.1, 0.5, 0.9], [0.8, 0.7]]
    assert [axes.get_title(loc="left") for axes in panels if axes.get_title(loc="left")] == [
        "FemurScratch · 3d_fullres",
        "FemurUnetResNet34 · 3d_fullres",
    ]


def test_every_axis_of_a_row_is_labelled():
    panels = _panels(*(replace(SLICES, fold=str(number)) for number in range(5)))
    right = [axes for axes in panels if axes.get_yscale() != "log"]
    assert [axes.get_ylabel() for axes in right] == ["", "", "pseudo Dice", "", "pseudo Dice"]


def test_folds_are_named_where_there_are_several():
    titles = {axes.get_title(loc="left").partition("\n")[2] for axes in _panels(VOLUMES, replace(VOLUMES, fold="1"))}
    assert titles >= {"fold 0", "fold 1"}


def test_a_single_epoch_is_no_curve():
    assert _panels(replace(VOLUMES, train_loss=(0.5,))) == []
    assert _panels() == []


def test_many_networks_do_not_make_an_endless_figure():
    panels = _panels(*(replace(SLICES, fold=str(number)) for number in range(MOST_PANELS + 5)))
    assert sum(axes.get_yscale() == "log" for axes in panels) == MOST_PANELS


def test_another_curve_is_another_figure():
    """Reused figures would show the curves of an earlier training."""
    changed = replace(SLICES, pseudo_dice=(0.8, float(np.nextafter(0.7, 1))))
    assert figure_provenance(_data(SLICES), []) != figure_provenance(_data(changed), [])
