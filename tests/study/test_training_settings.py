"""The part of a study's recipe that a trainer reads, and changes after which a training continues."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nnunet_femur.study.training_settings import OWN, SHARED, can_continue, settings_read

if TYPE_CHECKING:
    from pathlib import Path

SLICES, FINETUNE, STOCK = "FemurUnetResNet34Trainer", "FemurFinetuneTrainer", "nnUNetTrainer"


def settings(*, shared: dict | None = None, own: dict | None = None, **others: object) -> dict:
    return {"convert": {"seed": 0}, **others, SHARED: shared or {}, OWN: own or {}}


def test_a_trainer_reads_its_family_and_the_values_for_all() -> None:
    shared = {"seed": 0, "slice": {"epochs": 15}, "finetune": {"epochs": 8}, SLICES: {"batch_size": 4}}
    assert settings_read(settings(shared=shared), SLICES)[OWN] == {"seed": 0, "epochs": 15, "batch_size": 4}
    assert settings_read(settings(shared=shared), FINETUNE)[OWN] == {"seed": 0, "epochs": 8}


def test_the_methods_own_recipe_replaces_the_section_of_its_trainer() -> None:
    """As the job of the plans writes it."""
    found = settings_read(settings(shared={SLICES: {"batch_size": 4}}, own={"epochs": 2}), SLICES)
    assert found == {"convert": {"seed": 0}, OWN: {"epochs": 2}}


def test_stock_trainers_read_nothing() -> None:
    assert settings_read(settings(shared={"seed": 0}), STOCK)[OWN] == {}


CHANGES = {
    "nothing": (SLICES, {}, {}, True),
    "more epochs at a constant rate": (SLICES, {"epochs": 10}, {"epochs": 15}, True),
    "more epochs than the default": (SLICES, {}, {"epochs": 15}, True),
    "fewer epochs": (SLICES, {"epochs": 15}, {"epochs": 10}, False),
    "fewer epochs than the default": (SLICES, {}, {"epochs": 4}, False),
    "more epochs and another rate": (SLICES, {"epochs": 10}, {"epochs": 15, "learning_rate": 0.1}, False),
    "more epochs at a falling rate": (
        SLICES,
        {"epochs": 10, "schedule": "poly"},
        {"epochs": 15, "schedule": "poly"},
        False,
    ),
    "more epochs at a rate that falls by default": (FINETUNE, {"epochs": 10}, {"epochs": 15}, False),
    "a constant rate from now on": (
        FINETUNE,
        {"epochs": 10},
        {"epochs": 15, "schedule": "constant"},
        False,
    ),
    "a recipe that the trainer does not read": (STOCK, {"epochs": 10}, {"epochs": 15}, True),
}


@pytest.mark.parametrize(("trainer", "earlier", "now", "continues"), CHANGES.values(), ids=CHANGES)
def test_a_training_continues_after(trainer: str, earlier: dict, now: dict, continues: bool) -> None:
    assert can_continue(settings(shared=earlier), settings(shared=now), trainer) is continues


def test_no_training_continues_on_other_data() -> None:
    assert not can_continue(settings(files=[1]), settings(files=[2], shared={"epochs": 100}), SLICES)


def test_the_defaults_of_a_users_trainer_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("class MyTrainer:\n    pass\n")
    monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path))
    shorter, longer = {"epochs": 10}, {"epochs": 15}
    assert not can_continue(settings(shared=shorter), settings(shared=longer), "MyTrainer")
    constant = {"schedule": "constant"}
    assert can_continue(settings(shared=shorter | constant), settings(shared=longer | constant), "MyTrainer")
    assert not can_continue(settings(shared=constant), settings(shared=longer | constant), "MyTrainer")
