"""Training curves: how far the loss still falls, and where the curves come from."""

from __future__ import annotations

import json
import math

import pytest

from nnunet_femur.comparison.discovery import discover
from nnunet_femur.comparison.training_curves import TrainingCurve, training_curves

UNET = "FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres"
STOCK = "nnUNetTrainer__nnUNetPlans__3d_fullres"


def _curve(*losses: float, lowest: float = 0.0) -> TrainingCurve:
    return TrainingCurve("A", "0", losses, (), (), (), lowest=lowest)


class TestFall:
    @pytest.mark.parametrize(
        ("losses", "lowest", "expected"),
        [
            # The loss halves in each of the last three epochs.
            ((7.0, 0.8, 0.4, 0.2, 0.1), 0.0, 0.5),
            # Over three epochs from 0.8 to 0.1, whatever is between: 1 - (1 / 8) ** (1 / 3).
            ((0.8, 0.05, 0.9, 0.1), 0.0, 0.5),
            # One epoch: from 0.4 to 0.3.
            ((0.4, 0.3), 0.0, 0.25),
            # nnU-Net's loss with Dice passes 0: 0.5 above -1, then 0.25 above it.
            ((-0.5, -0.75), -1.0, 0.5),
            ((0.5, -0.25), -1.0, 0.5),
            # It rises by a quarter.
            ((0.4, 0.5), 0.0, -0.25),
        ],
    )
    def test_by_hand(self, losses, lowest, expected):
        assert _curve(*losses, lowest=lowest).fall == pytest.approx(expected)

    @pytest.mark.parametrize("losses", [(), (0.5,), (0.5, -2.0), (math.nan, 0.5), (0.5, math.nan)])
    def test_unknown(self, losses):
        curve = _curve(*losses)
        assert curve.fall is None
        assert not curve.still_falling

    @pytest.mark.parametrize(("factor", "falling"), [(0.94, True), (0.96, False), (1.1, False)])
    def test_five_percent_per_epoch(self, factor, falling):
        assert _curve(*(factor**epoch for epoch in range(6))).still_falling is falling


class TestRecords:
    def test_of_the_trainer(self, tree):
        tree.validate(UNET, 0)
        record = {
            "recipe": {"loss": "cross_entropy"},
            "iterations_per_epoch": 50,
            "epochs_planned": 3,
            "curves": {
                "train_loss": [0.4, 0.2],
                "validation_loss": [0.5, None],
                "pseudo_dice": [0.8, 0.9],
                "seconds": [60, 61.5],
            },
        }
        (tree.method(UNET) / "fold_0" / "run.json").write_text(json.dumps(record))
        (curve,) = training_curves(discover(tree.results).predictions)
        assert (curve.method, curve.fold, curve.epochs, curve.steps, curve.planned) == (UNET, "0", 2, 50, 3)
        assert curve.lowest == 0
        assert curve.fall == pytest.approx(0.5)
        assert curve.pseudo_dice == (0.8, 0.9)
        assert math.isnan(curve.validation_loss[1])

    @pytest.mark.parametrize("content", [{}, {"curves": {"train_loss": "high"}}, {"curves": {}}])
    def test_without_curves(self, tree, content):
        tree.validate(UNET, 0)
        (tree.method(UNET) / "fold_0" / "run.json").write_text(json.dumps(content))
        assert training_curves(discover(tree.results).predictions) == []


def _epoch(number: int, loss: float, dice: str, *, done: bool = True) -> str:
    """One epoch of nnU-Net 2.8's log."""
    lines = [f"Epoch {number} ", "Current learning rate: 0.01 "]
    if done:
        lines += [f"train_loss {loss} ", "val_loss -0.2 ", f"Pseudo dice {dice} ", "Epoch time: 12.5 s "]
    stamp = "2026-11-26 05:18:37.850795: "
    return "".join(f"{stamp}{line}\n" for line in [" ", *lines])


class TestLogs:
    """nnU-Net's own trainers write no record."""

    def test_of_a_stock_trainer(self, tree):
        tree.validate(STOCK, 0)
        fold = tree.method(STOCK) / "fold_0"
        (fold / "training_log_2026_11_26_05_00_00.txt").write_text(
            "Please cite nnU-Net\n"
            + _epoch(0, 0.25, "[np.float32(0.5), np.float32(nan)]")
            + _epoch(1, -0.5, "[0.75, 0.25]")
            + "2026-11-26 05:18:37.850795: Yayy! New best EMA pseudo Dice: 0.5873 \n"
        )
        (curve,) = training_curves(discover(tree.results).predictions)
        assert curve.train_loss == (0.25, -0.5)
        assert curve.validation_loss == (-0.2, -0.2)
        assert curve.pseudo_dice == (0.5, 0.5)
        assert curve.seconds == (12.5, 12.5)
        assert curve.lowest == -1
        assert curve.fall == pytest.approx(1 - 0.5 / 1.25)

    def test_killed_and_continued(self, tree):
        """Epoch 2 was repeated from the checkpoint after epoch 1, and epoch 3 was not finished."""
        tree.validate(STOCK, 0)
        fold = tree.method(STOCK) / "fold_0"
        (fold / "training_log_2026_11_26_05_00_00.txt").write_text(
            "".join(_epoch(number, loss, "[0.5]") for number, loss in enumerate((0.4, 0.3, 0.9)))
        )
        (fold / "training_log_2026_11_26_06_00_00.txt").write_text(
            _epoch(2, 0.2, "[0.5]") + _epoch(3, 0.1, "[0.5]", done=False)
        )
        (fold / "training_log_2026_11_26_07_00_00.txt").write_text("only validated\n")
        (curve,) = training_curves(discover(tree.results).predictions)
        assert curve.train_loss == (0.4, 0.3, 0.2)

    def test_continued_on_the_tenth(self, tree):
        """nnU-Net writes days without leading zeros, so names of logs are not in the order of their times."""
        tree.validate(STOCK, 0)
        fold = tree.method(STOCK) / "fold_0"
        (fold / "training_log_2026_11_9_23_00_00.txt").write_text(_epoch(0, 0.4, "[0.5]") + _epoch(1, 0.3, "[0.5]"))
        (fold / "training_log_2026_11_10_01_00_00.txt").write_text(_epoch(2, 0.2, "[0.5]"))
        (curve,) = training_curves(discover(tree.results).predictions)
        assert curve.train_loss == (0.4, 0.3, 0.2)

    def test_a_new_training_forgets_the_old_one(self, tree):
        tree.validate(STOCK, 0)
        fold = tree.method(STOCK) / "fold_0"
        (fold / "training_log_2026_11_26_05_00_00.txt").write_text(
            _epoch(0, 0.4, "[0.5]") + _epoch(1, 0.3, "[0.5]") + _epoch(2, 0.2, "[0.5]")
        )
        (fold / "training_log_2026_11_26_06_00_00.txt").write_text(_epoch(0, 0.7, "[0.5]"))
        (curve,) = training_curves(discover(tree.results).predictions)
        assert curve.train_loss == (0.7,)

    def test_the_log_is_the_training_time_too(self, tree):
        tree.validate(STOCK, 0)
        fold = tree.method(STOCK) / "fold_0"
        (fold / "training_log_2026_11_26_05_00_00.txt").write_text(_epoch(0, 0.4, "[0.5]") + _epoch(1, 0.3, "[0.5]"))
        (one,) = discover(tree.results).predictions
        assert one.seconds == 25
