"""The choice of the final weights: no harm, interruptions, longer trainings, and folds without validation cases."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from nnunet_femur.training.finetune import choosing_trainer
from tests.refusing import refused
from tests.training.making import TRANSFERRED, make_trainer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nnunet_femur.training.finetune.finetune_trainer import FinetuneTrainer

pytestmark = pytest.mark.integration

Weights = dict[str, torch.Tensor]
NAMES = ["source", "alpha 0.25", "alpha 0.5", "alpha 0.75", "last"]


def _trainer(name: str = "FemurFinetuneTrainer", *, fold: Any = 0, **recipe: Any) -> FinetuneTrainer:
    short = {"epochs": 1, "iterations_per_epoch": 1, "validation_iterations": 1, "warmup_epochs": 0, "seed": 0}
    return make_trainer(name, dataset=TRANSFERRED, fold=fold, **{**short, "ramp_iterations": 0, **recipe})


def _resumed(checkpoint: str, **recipe: Any) -> FinetuneTrainer:
    trainer = _trainer(**recipe)
    trainer.load_checkpoint(str(Path(trainer.output_folder) / checkpoint))
    return trainer


def _saved(trainer: FinetuneTrainer, checkpoint: str = "checkpoint_final.pth") -> dict[str, Any]:
    return torch.load(Path(trainer.output_folder) / checkpoint, weights_only=False)


def _record(trainer: FinetuneTrainer) -> dict[str, Any]:
    return json.loads((Path(trainer.output_folder) / "run.json").read_text())


def _same(first: Weights, second: Weights) -> bool:
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.fixture
def _halfway(transfer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores that are highest halfway between the source's and the last weights, by one layer of the network."""
    layer = "encoder.stages.0.0.convs.0.conv.weight"
    ends: list[torch.Tensor] = []

    def dice(trainer: FinetuneTrainer, cases: Iterable[str], *, merge: Any) -> dict[str, float]:
        assert merge is not None
        now = trainer.bare_network.state_dict()[layer].clone()
        if not ends:
            source, last = trainer.source_weights(), trainer.last_for_test  # type: ignore[attr-defined]
            ends.extend((source[layer], last[layer]))
        place = float((now - ends[0]).norm() / (ends[1] - ends[0]).norm())
        return {case: 0.9 - 0.1 * abs(place - 0.5) for case in cases}

    def remember(trainer: FinetuneTrainer) -> None:
        trainer.last_for_test = {  # type: ignore[attr-defined]
            name: value.clone() for name, value in trainer.bare_network.state_dict().items()
        }
        choose(trainer)

    choose: Callable = choosing_trainer.ChoosingTrainer.choose_weights
    monkeypatch.setattr(choosing_trainer.ChoosingTrainer, "choose_weights", remember)
    monkeypatch.setattr(choosing_trainer, "volume_dice", dice)


class TestHarm:
    def test_a_training_that_destroys_the_network_ends_with_the_source(self, transfer: Path) -> None:
        trainer = _trainer(learning_rate=1.0)
        trainer.run_training()
        choice = _record(trainer)["choice"]
        assert choice["chosen"] == "source"
        assert [each["name"] for each in choice["candidates"]] == NAMES, "the best epoch is the last"
        assert choice["cases"] == sorted(trainer.do_split()[1])
        means = [each["mean_dice"] for each in choice["candidates"]]
        assert means[0] == max(means) > means[-1] + 0.1
        saved = _saved(trainer)
        assert saved["femur_choice"] == choice
        source = trainer.source_weights()
        assert source is not None
        assert all(torch.equal(saved["network_weights"][name], value) for name, value in source.items())
        assert not _same(saved["network_weights"], saved["femur_last_weights"])
        assert _same(trainer.bare_network.state_dict(), saved["network_weights"]), "the final validation has them too"

    def test_switched_off(self, transfer: Path) -> None:
        trainer = _trainer(learning_rate=1.0, choose="last")
        trainer.run_training()
        assert "choice" not in _record(trainer)
        assert not {"femur_choice", "femur_last_weights"} & _saved(trainer).keys()
        source = trainer.source_weights()
        assert source is not None
        assert not all(torch.equal(_saved(trainer)["network_weights"][name], value) for name, value in source.items())


@pytest.mark.usefixtures("_halfway")
class TestChoice:
    def test_halfway(self) -> None:
        trainer = _trainer()
        trainer.run_training()
        saved = _saved(trainer)
        assert saved["femur_choice"]["chosen"] == "alpha 0.5"
        assert saved["femur_choice"]["alpha"] == 0.5
        source = trainer.source_weights()
        assert source is not None
        for name, value in source.items():
            expected = (value + saved["femur_last_weights"][name]) / 2
            assert torch.allclose(saved["network_weights"][name], expected, atol=1e-6), name

    def test_interrupted_meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        undisturbed = _trainer()
        undisturbed.run_training()
        expected = _saved(undisturbed)
        (Path(undisturbed.output_folder) / "run.json").unlink()
        (Path(undisturbed.output_folder) / "checkpoint_final.pth").unlink()

        score = choosing_trainer.volume_dice
        calls = []

        def killed(*args: Any, **further: Any) -> dict[str, float]:
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return score(*args, **further)

        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            patch.setattr(choosing_trainer, "volume_dice", killed)
            _trainer().run_training()
        assert len(calls) == 3
        again = _resumed("checkpoint_latest.pth")
        assert again.current_epoch == 1
        again.run_training()
        found = _saved(again)
        assert not (Path(again.output_folder) / "checkpoint_latest.pth").exists()
        for key in ("network_weights", "femur_last_weights"):
            assert _same(found[key], expected[key]), key
        assert _record(again)["choice"]["chosen"] == "alpha 0.5"

    def test_of_a_finished_training_is_kept(self) -> None:
        first = _trainer()
        first.run_training()
        before = _saved(first)
        again = _resumed("checkpoint_final.pth")
        again.run_training()
        after = _saved(again)
        assert after["femur_choice"] == before["femur_choice"] == _record(again)["choice"]
        for key in ("network_weights", "femur_last_weights"):
            assert _same(after[key], before[key]), key

    def test_switched_off_afterwards(self) -> None:
        first = _trainer()
        first.run_training()
        last = _saved(first)["femur_last_weights"]
        again = _resumed("checkpoint_final.pth", choose="last")
        again.run_training()
        assert _same(_saved(again)["network_weights"], last)
        assert not {"femur_choice", "femur_last_weights"} & _saved(again).keys()
        assert "choice" not in _record(again)

    def test_a_longer_training_continues_from_the_last_weights(self) -> None:
        first = _trainer(average_decay=0.5)
        first.run_training()
        before = _saved(first)
        longer = _resumed("checkpoint_final.pth", average_decay=0.5, epochs=2)
        longer.on_train_start()
        assert _same(longer.bare_network.state_dict(), before["femur_raw_weights"])
        assert longer._average is not None
        assert _same(longer._average.module.state_dict(), before["femur_last_weights"])
        assert longer.will_choose

    def test_adapters_of_a_longer_training_are_those_of_the_last_weights(self) -> None:
        from nnunet_femur.networks.adapters import adapter_state

        first = _trainer(trained_layers="adapters", iterations_per_epoch=3)
        first.run_training()
        saved = _saved(first)
        assert saved["femur_choice"]["chosen"] == "alpha 0.5"
        assert saved["network_weights"].keys() == saved["femur_last_weights"].keys()
        assert not any("parametrizations" in name for name in saved["network_weights"])
        longer = _resumed("checkpoint_final.pth", trained_layers="adapters", epochs=2)
        longer.on_train_start()
        for name, value in adapter_state(longer.bare_network).items():
            assert torch.equal(value, saved["femur_adapters"][name]), name
        for name, value in longer.bare_network.state_dict().items():
            assert torch.allclose(value, saved["femur_last_weights"][name], atol=1e-6), name


class TestWithoutValidationCases:
    def test_fold_all_ends_with_the_last(self, transfer: Path) -> None:
        trainer = _trainer(fold="all")
        trainer.run_training()
        choice = _record(trainer)["choice"]
        assert (choice["chosen"], choice["candidates"]) == ("last", [])
        assert "fold all" in choice["reason"]
        assert "femur_last_weights" not in _saved(trainer)


class TestCandidates:
    def test_new_heads_have_no_source(self, transfer: Path) -> None:
        trainer = _trainer("FemurFinetunePaperTrainer", choose="validation")
        trainer.run_training()
        assert [each["name"] for each in _record(trainer)["choice"]["candidates"]] == ["last"]

    def test_the_best_epoch_is_one_of_them(self, transfer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        trainer = _trainer(epochs=2)
        monkeypatch.setattr(choosing_trainer, "volume_dice", lambda _, cases, **__: dict.fromkeys(cases, 0.5))
        ends = iter([0.9, 0.1])
        logged = trainer.logger.log

        def log(key: str, value: Any, step: int) -> None:
            logged(key, next(ends) if key == "mean_fg_dice" else value, step)

        monkeypatch.setattr(trainer.logger, "log", log)
        trainer.run_training()
        best = _saved(trainer, "checkpoint_best.pth")
        assert best["current_epoch"] == 1
        found = dict(trainer._candidates(_saved(trainer)["femur_last_weights"]))
        assert list(found) == [*NAMES[:-1], "best", "last"]
        assert _same(found["best"], best["network_weights"])

    def test_a_source_that_is_missing_at_the_end_is_missed_at_the_start(
        self, transfer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trainer = _trainer()
        trainer.on_train_start()
        trainer.save_checkpoint(str(Path(trainer.output_folder) / "checkpoint_latest.pth"))
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
        with refused("no-weights", "nnfemur weights download"):
            _resumed("checkpoint_latest.pth", epochs=2).on_train_start()
        _resumed("checkpoint_latest.pth", epochs=2, choose="last").on_train_start()
