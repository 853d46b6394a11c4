"""The network of the lowest training loss is kept, through kills and resumptions, in nnU-Net's own training loop."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nnunet_femur.training.slice_trainer import SliceTrainer

pytestmark = pytest.mark.integration

DATASET = "Dataset001_Femur"


class _KilledError(Exception):
    pass


@pytest.fixture
def results(nnunet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results of this test alone."""
    assert nnunet.is_dir()
    monkeypatch.setenv("nnUNet_results", str(tmp_path))
    return tmp_path


def _trainer(
    losses: Sequence[float], *, kill_in: int | None = None, kill_before_latest: int | None = None, **recipe: Any
) -> SliceTrainer:
    """A trainer whose epochs have these losses, and whose network carries the number of its epoch.

    Args:
        losses: Loss of each epoch.
        kill_in: The epoch in whose second step the training is killed.
        kill_before_latest: The epoch that is killed after its network was kept and before nnU-Net's checkpoint.
        recipe: Changes of the recipe.
    """
    from nnunet_femur.trainers.slices import FemurUnetMobileNetV3Trainer

    class Told(FemurUnetMobileNetV3Trainer):
        def train_step(self, batch: dict) -> dict:
            if self.current_epoch == kill_in:
                raise _KilledError
            with torch.no_grad():
                next(self.network.parameters()).fill_(self.current_epoch)
            return {"loss": np.float32(losses[self.current_epoch])}

        def validation_step(self, batch: dict) -> dict:
            return {"loss": 0.0, "tp_hard": np.ones(1), "fp_hard": np.ones(1), "fn_hard": np.ones(1)}

        def save_checkpoint(self, filename: str) -> None:
            if filename.endswith("latest.pth") and self.current_epoch == kill_before_latest:
                raise _KilledError
            super().save_checkpoint(filename)

        def print_to_log_file(self, *args: Any, **kwargs: Any) -> None:
            kwargs["also_print_to_console"] = False
            super().print_to_log_file(*args, **kwargs)

    preprocessed = Path(os.environ["nnUNet_preprocessed"]) / DATASET
    plans = json.loads((preprocessed / "nnUNetPlans.json").read_text())
    plans["continue_training"] = False
    plans["configurations"]["3d_fullres"]["femur_recipe"]["slice"] |= {"epochs": len(losses), "batch_size": 2, **recipe}
    description = json.loads((preprocessed / "dataset.json").read_text())
    return Told(plans, "3d_fullres", 0, description, torch.device("cpu"))


def _run(trainer: SliceTrainer, *, resume: bool = False) -> None:
    """As nnUNetv2_train does, with ``--c`` or without."""
    from nnunetv2.run.run_training import maybe_load_checkpoint

    trainer.logger.plot_progress_png = lambda *_: None
    maybe_load_checkpoint(trainer, continue_training=resume, validation_only=False)
    trainer.run_training()


def _epoch_of(weights: dict[str, torch.Tensor]) -> float:
    return float(next(iter(weights.values())).flatten()[0])


def _final(trainer: SliceTrainer) -> dict:
    """What nnUNetv2_predict loads by default."""
    checkpoint = torch.load(Path(trainer.output_folder) / "checkpoint_final.pth", weights_only=False)
    assert _epoch_of(checkpoint["network_weights"]) == _epoch_of(trainer.network.state_dict()), (
        "the final validation uses the trainer's network, nnUNetv2_predict the file"
    )
    return checkpoint


@pytest.mark.usefixtures("results")
class TestLowestLoss:
    def test_the_epoch_of_lowest_loss_is_final(self) -> None:
        trainer = _trainer([0.5, 0.2, 0.4])
        _run(trainer)
        final = _final(trainer)
        assert _epoch_of(final["network_weights"]) == 1
        assert final["current_epoch"] == 3, "the training has ended"
        assert not (Path(trainer.output_folder) / "checkpoint_lowest_loss.pth").exists()

    def test_or_the_last_by_recipe(self) -> None:
        trainer = _trainer([0.5, 0.2, 0.4], keep="last")
        _run(trainer)
        assert _epoch_of(_final(trainer)["network_weights"]) == 2

    @pytest.mark.parametrize(
        ("losses", "kill", "expected"),
        [
            ([0.2, 0.5, 0.4], {"kill_in": 1}, 0),
            ([0.2, 0.5, 0.4], {"kill_in": 2}, 0),
            ([0.5, 0.2, 0.4], {"kill_in": 2}, 1),
            ([0.5, 0.4, 0.2], {"kill_in": 2}, 2),
            ([0.5, 0.2, 0.4], {"kill_before_latest": 1}, 1),
            ([0.2, 0.5, 0.4], {"kill_before_latest": 1}, 0),
            ([0.5, 0.2, 0.4, 0.3], {"kill_in": 2, "checkpoint_every": 2}, 1),
        ],
    )
    def test_killed_and_resumed(self, losses: list[float], kill: dict[str, int], expected: int) -> None:
        with pytest.raises(_KilledError):
            _run(_trainer(losses, **kill))
        kill = {name: value for name, value in kill.items() if name == "checkpoint_every"}
        resumed = _trainer(losses, **kill)
        _run(resumed, resume=True)
        assert _epoch_of(_final(resumed)["network_weights"]) == expected

    def test_resuming_what_has_ended_changes_nothing(self) -> None:
        _run(_trainer([0.5, 0.2, 0.4]))
        again = _trainer([0.5, 0.2, 0.4])
        _run(again, resume=True)
        assert _epoch_of(_final(again)["network_weights"]) == 1

    @pytest.mark.parametrize(("longer", "expected"), [([0.3, 0.4], 1), ([0.3, 0.1], 4)])
    def test_going_on_for_more_epochs(self, longer: list[float], expected: int) -> None:
        _run(_trainer([0.5, 0.2, 0.4]))
        again = _trainer([0.5, 0.2, 0.4, *longer])
        _run(again, resume=True)
        assert _epoch_of(_final(again)["network_weights"]) == expected

    def test_a_new_training_forgets_the_old_one(self) -> None:
        with pytest.raises(_KilledError):
            _run(_trainer([0.1, 0.2, 0.4], kill_in=2))
        new = _trainer([0.5, 0.3, 0.4])
        _run(new)
        assert _epoch_of(_final(new)["network_weights"]) == 1

    def test_nothing_of_an_old_training_comes_back(self) -> None:
        with pytest.raises(_KilledError):
            _run(_trainer([0.1, 0.2, 0.4], kill_in=2))
        without = _trainer([0.5, 0.3, 0.4])
        without.disable_checkpointing = True
        _run(without)
        assert _epoch_of(without.network.state_dict()) == 2
        broken = _trainer([float("nan")] * 3)
        _run(broken)
        assert _epoch_of(_final(broken)["network_weights"]) == 2
