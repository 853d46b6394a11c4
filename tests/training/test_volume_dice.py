"""Dice on whole cases beside hand-worked masks and nnU-Net's final validation."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_femur.training.volume_dice import mean_dice, volume_dice
from tests.training.making import TRANSFERRED, Threads, make_trainer


def _mask(*values: int) -> np.ndarray:
    return np.array(values, np.uint8).reshape(1, 1, -1)


class TestMeanDice:
    def test_of_one_label(self) -> None:
        """Two voxels shared, one extra, one missed: 4 / 6."""
        labels = LabelManager({"background": 0, "femur": 1}, None)
        assert mean_dice(_mask(1, 1, 1, 0, 0), _mask(1, 1, 0, 1, 0), labels) == pytest.approx(4 / 6)

    def test_of_the_labels_that_occur(self) -> None:
        """Label 1: 2 / 3; label 2: 0; label 3 does not occur."""
        labels = LabelManager({"background": 0, "a": 1, "b": 2, "c": 3}, None)
        assert mean_dice(_mask(1, 1, 2, 0), _mask(1, 0, 0, 2), labels) == pytest.approx((2 / 3 + 0) / 2)

    def test_without_the_ignored_voxels(self) -> None:
        labels = LabelManager({"background": 0, "femur": 1, "ignore": 2}, None)
        assert mean_dice(_mask(1, 1, 2, 2), _mask(1, 0, 1, 1), labels) == pytest.approx(2 / 3)

    def test_of_empty_masks(self) -> None:
        labels = LabelManager({"background": 0, "femur": 1}, None)
        assert mean_dice(_mask(0, 0), _mask(0, 0), labels) == 1
        assert mean_dice(_mask(0, 1), _mask(0, 0), labels) == 0


@pytest.mark.integration
@pytest.mark.parametrize(("name", "tolerance"), [("FemurScratchTrainer", 1e-9), ("FemurFinetuneTrainer", 0.005)])
def test_equals_nnunets_validation(
    transfer: Path, monkeypatch: pytest.MonkeyPatch, name: str, tolerance: float
) -> None:
    """To the last digit, or nearly if channels are merged before they are resampled."""
    monkeypatch.setattr(multiprocessing, "get_context", lambda *_: Threads)
    trainer = make_trainer(name, dataset=TRANSFERRED)
    trainer.on_train_start()
    cases = trainer.do_split()[1]
    if name == "FemurFinetuneTrainer":
        with trainer.predicting() as merge:
            found = volume_dice(trainer, cases, merge=merge)
    else:
        found = volume_dice(trainer, cases)
    trainer.perform_actual_validation()
    summary = json.loads((Path(trainer.output_folder) / "validation" / "summary.json").read_text())
    expected = {
        Path(one["prediction_file"]).name.split(".")[0]: one["metrics"]["1"] for one in summary["metric_per_case"]
    }
    assert expected.keys() == found.keys()
    assert max(found.values()) > 0
    for case, dice in found.items():
        assert dice == pytest.approx(expected[case]["Dice"], abs=tolerance), case
