"""Facts of a training in nnU-Net's loggers, with modules in place of W&B and TensorBoard."""

from __future__ import annotations

import json
import multiprocessing
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from nnunet_femur.training.experiment_logs import TENSORBOARD, TensorBoardLogger, start_logs
from tests.refusing import refused
from tests.training.making import TRANSFERRED, Threads, make_trainer

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORT = {"epochs": 1, "iterations_per_epoch": 1, "validation_iterations": 1}


class _Config(dict[str, Any]):
    """W&B refuses another value of a key."""

    def update(self, changes: Mapping[str, Any]) -> None:  # type: ignore[override]
        for key, value in changes.items():
            assert self.get(key, value) == value, key
            self[key] = json.loads(json.dumps(value))


class _Run:
    def __init__(self) -> None:
        self.config, self.summary, self.step = _Config(), dict[str, Any](), 0
        self.logged: dict[str, list[float]] = {}

    def log(self, values: Mapping[str, Any], step: int) -> None:
        assert step >= self.step
        for key, value in values.items():
            self.logged.setdefault(key, []).append(float(value))


class _Writer:
    """TensorBoard's ``SummaryWriter``."""

    made: list[_Writer]

    def __init__(self, folder: str, purge_step: int | None = None) -> None:
        self.folder, self.purge_step = Path(folder), purge_step
        self.scalars: dict[str, dict[int, float]] = {}
        self.texts: dict[str, str] = {}
        type(self).made.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.setdefault(name, {})[step] = value

    def add_text(self, name: str, text: str, step: int) -> None:
        assert step >= 0
        self.texts[name] = text

    def flush(self) -> None:
        pass


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A W&B that keeps everything in memory; ``runs`` contains its runs."""
    from nnunetv2.training.logging import nnunet_logger

    module = SimpleNamespace(runs=[])

    def init(**given: Any) -> _Run:
        module.runs.append(_Run())
        module.given = given
        return module.runs[-1]

    module.init = init
    monkeypatch.setattr(nnunet_logger, "wandb", module)
    monkeypatch.setenv("nnUNet_wandb_enabled", "1")
    monkeypatch.setenv("nnUNet_wandb_mode", "offline")
    return module


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> list[_Writer]:
    """The writers that TensorBoard's replacement has made."""
    module = ModuleType("torch.utils.tensorboard")
    _Writer.made = []
    module.SummaryWriter = _Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return _Writer.made


@pytest.mark.integration
def test_a_fine_tuning_has_its_recipe_fingerprint_choice_and_record(
    transfer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wandb: SimpleNamespace, writers: list[_Writer]
) -> None:
    assert transfer.is_dir()
    monkeypatch.setattr(multiprocessing, "get_context", lambda *_: Threads)
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "results"))
    monkeypatch.setenv(TENSORBOARD, str(tmp_path / "board"))
    trainer = make_trainer("FemurFinetuneTrainer", dataset=TRANSFERRED, **SHORT, learning_rate=0.0005)
    trainer.run_training()
    record = json.loads((Path(trainer.output_folder) / "run.json").read_text())
    run = wandb.runs[-1]
    assert wandb.given["mode"] == "offline"
    assert run.config["recipe"]["learning_rate"] == 0.0005
    assert run.config["consistency"]["spacing_mm"] == list(trainer.configuration_manager.spacing)
    assert run.config["source_weights"]["fast"] is False
    assert run.logged["train_losses"] == pytest.approx(record["curves"]["train_loss"], rel=1e-5)
    assert run.summary["run/choice/chosen"] == record["choice"]["chosen"]
    assert (run.summary["run/epochs_done"], run.summary["run/parameters"]) == (1, record["parameters"])
    (writer,) = writers
    assert writer.folder == tmp_path.joinpath("board", *Path(trainer.output_folder).parts[-3:])
    assert writer.scalars["train_losses"] == {0: pytest.approx(run.logged["train_losses"][0])}
    assert writer.scalars["run/seconds"] == {0: record["seconds"]}
    assert json.loads(writer.texts["recipe"].strip("`").removeprefix("json")) == record["recipe"]


def test_a_folder_that_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TENSORBOARD, "board")
    trainer: Any = SimpleNamespace(local_rank=0, output_folder=str(tmp_path))
    with refused("invalid-option", TENSORBOARD, "board"):
        start_logs(trainer)


class TestTensorBoard:
    def test_a_resumed_training_hides_the_epochs_that_it_repeats(self, tmp_path: Path, writers: list[_Writer]) -> None:
        logger = TensorBoardLogger(tmp_path)
        logger.log("train_losses", 0.5, 7)
        logger.log_summary("run/device", "cpu")
        logger.log_summary("run/seconds", 60)
        (writer,) = writers
        assert writer.purge_step == 7
        assert (writer.texts["run/device"], writer.scalars["run/seconds"]) == ("cpu", {7: 60.0})

    def test_a_repeated_validation_hides_nothing(self, tmp_path: Path, writers: list[_Writer]) -> None:
        TensorBoardLogger(tmp_path).log_summary("final_val/foreground_dice", 0.9)
        assert writers[0].purge_step is None

    def test_not_installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
        with refused("not-installed", "tensorboard"):
            TensorBoardLogger(tmp_path)
