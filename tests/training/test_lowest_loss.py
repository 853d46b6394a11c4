"""The network of the lowest training loss is kept, also after interruptions, in nnU-Net's own training loop."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.killing import kill_once
from tests.training.making import PHANTOMS as DATASET
from tests.training.making import make_trainer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nnunet_femur.training.slices.slice_trainer import SliceTrainer

pytestmark = pytest.mark.integration


class _KilledError(Exception):
    pass


@pytest.fixture
def results(nnunet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A results folder for each test."""
    assert nnunet.is_dir()
    monkeypatch.setenv("nnUNet_results", str(tmp_path))
    return tmp_path


def _trainer(
    losses: Sequence[float], *, kill_in: int | None = None, kill_before_latest: int | None = None, **recipe: Any
) -> SliceTrainer:
    """Return a trainer whose epochs have these losses, and whose first parameter is the number of the epoch.

    Args:
        losses: Loss of each epoch.
        kill_in: The epoch in whose second step the training is killed.
        kill_before_latest: The epoch that is killed after its network was kept and before nnU-Net's checkpoint.
        recipe: Changes of the recipe.
    """
    from nnunet_femur.trainers import FemurUnetMobileNetV3Trainer

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

    return make_trainer(Told, **{"epochs": len(losses), "batch_size": 2, **recipe})


def _run(trainer: SliceTrainer, *, resume: bool = False) -> None:
    """Train as nnUNetv2_train does, with ``--c`` or without."""
    from nnunetv2.run.run_training import maybe_load_checkpoint

    trainer.logger.resume = resume  # nnU-Net's command passes it in the plans
    maybe_load_checkpoint(trainer, continue_training=resume, validation_only=False)
    trainer.run_training()


def _epoch_of(weights: dict[str, torch.Tensor]) -> float:
    return float(next(iter(weights.values())).flatten()[0])


def _final(trainer: SliceTrainer) -> dict:
    """Return the checkpoint that nnUNetv2_predict loads by default."""
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
        assert json.loads((Path(trainer.output_folder) / "run.json").read_text())["final_network"] == "last"

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
        record = json.loads((Path(resumed.output_folder) / "run.json").read_text())
        assert record["curves"]["train_loss"] == pytest.approx(losses), "each epoch once"
        assert record["final_network"] == "lowest_loss"

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

    def test_going_on_killed_and_resumed(self) -> None:
        _run(_trainer([0.5, 0.4]))
        with pytest.raises(_KilledError):
            _run(_trainer([0.5, 0.4, 0.3, 0.2], kill_in=3), resume=True)
        final = Path(_trainer([0.5]).output_folder) / "checkpoint_final.pth"
        assert torch.load(final, weights_only=False)["current_epoch"] == 2, "nnU-Net would go on from here"
        again = _trainer([0.5, 0.4, 9.0, 0.2])
        _run(again, resume=True)
        assert _epoch_of(_final(again)["network_weights"]) == 3
        losses = json.loads((Path(again.output_folder) / "run.json").read_text())["curves"]["train_loss"]
        assert losses == pytest.approx([0.5, 0.4, 0.3, 0.2]), "the third epoch was not trained again"

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


RISING = """
from nnunet_femur.trainers import FemurUnetMobileNetV3Trainer as Trained


class FemurRisingLossTrainer(Trained):
    def train_step(self, batch):
        return {"loss": super().train_step(batch)["loss"] + (10, 0, 20)[self.current_epoch]}
"""
"""Trainer that reports a loss whose minimum is in its second epoch."""


def test_a_killed_command_keeps_what_an_undisturbed_one_keeps(
    nnunet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the epoch after that of the lowest loss, then with --c: the same epoch's network, the same weights."""
    assert nnunet.is_dir()
    (tmp_path / "trainers").mkdir()
    (tmp_path / "trainers" / "rising_loss.py").write_text(RISING)
    monkeypatch.setenv("nnUNet_extTrainer", f"{os.environ['nnUNet_extTrainer']}{os.pathsep}{tmp_path / 'trainers'}")
    train = shutil.which("nnUNetv2_train", path=sysconfig.get_path("scripts"))
    assert train is not None
    name = "FemurRisingLossTrainer"
    command = [train, DATASET, "3d_fullres", "0", "-tr", name, "-device", "cpu"]
    environments = [{**os.environ, "nnUNet_results": str(tmp_path / end)} for end in ("undisturbed", "killed")]
    undisturbed, killed = (
        Path(environment["nnUNet_results"]) / DATASET / f"{name}__nnUNetPlans__3d_fullres" / "fold_0"
        for environment in environments
    )
    kill_once(lambda: "Epoch 2" in _log(killed), command, environment=environments[1])
    assert (killed / "checkpoint_lowest_loss.pth").exists()
    assert not (killed / "checkpoint_final.pth").exists()
    subprocess.run([*command, "--c"], env=environments[1], check=True, capture_output=True)
    subprocess.run(command, env=environments[0], check=True, capture_output=True)
    ends = [torch.load(fold / "checkpoint_final.pth", weights_only=False) for fold in (undisturbed, killed)]
    for fold, end in zip((undisturbed, killed), ends, strict=True):
        assert "epoch 1" in _log(fold)
        assert end["current_epoch"] == 3, "the training has ended"
        steps = {float(state["step"]) for state in end["optimizer_state"]["state"].values()}
        assert steps == {2 * 2.0}, "the optimizer is that of two epochs of two steps, not of three"
    for key, value in ends[0]["network_weights"].items():
        assert torch.allclose(ends[1]["network_weights"][key].float(), value.float(), atol=1e-5), key


def _log(fold: Path) -> str:
    """Return the log of a training so far."""
    return "".join(path.read_text(encoding="utf-8") for path in sorted(fold.glob("training_log*.txt")))
