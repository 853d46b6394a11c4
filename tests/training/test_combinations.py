"""All combinations that a recipe accepts can be trained: each pair of values of two hyperparameters."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.refusing import refused
from tests.training.making import PHANTOMS, TRANSFERRED, find_trainer, make_trainer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nnunet_femur.training.base import FemurTrainer

pytestmark = pytest.mark.integration

COMMON: dict[str, Sequence[Any]] = {
    "loss": ("cross_entropy", "dice_cross_entropy"),
    "optimizer": ("Adam", "AdamW", "SGD"),
    "schedule": ("constant", "poly"),
    "augment": (True, False),
    "mirror": (True, False),
    "half": (True, False),
    "seed": (None, 0),
    "weight_decay": (0.0, 0.01),
}
VOLUME = COMMON | {
    "trainer": ("FemurScratchTrainer", "FemurScratchTrainer without deep supervision"),
    "configuration": ("3d_fullres", "2d"),
    "foreground_fraction": (0.0, 0.33, 1.0),
}
FINETUNE = COMMON | {
    "trainer": ("FemurFinetuneTrainer", "FemurFinetunePaperTrainer"),
    "configuration": ("3d_fullres",),
    "foreground_fraction": (0.0, 1.0),
    "warmup_epochs": (0, 1, 5),
    "ramp_iterations": (0, 3),
    "body_factor": (0.0, 0.5, 1.0),
    "layer_decay": (0.0, 0.8, 1.0),
    "average_decay": (0.0, 0.9),
    "elastic_fraction": (0.0, 1.0),
    # Adapters exclude the average of the weights, and have tests of their own.
    "trained_layers": ("all", "decoder"),
    "choose": ("last", "validation"),
}
SLICE = COMMON | {
    "trainer": (
        "FemurUnetMobileNetV3Trainer",
        "FemurUnetPlusPlusMobileNetV3Trainer",
        "FemurHeadUnetMobileNetV3Trainer",
        "FemurThreePlaneTrainer",
    ),
    "configuration": ("3d_fullres", "2d"),
    "foreground_fraction": (0.0, 0.5, 1.0),
    "iterations_per_epoch": (None, 2),
    "neighbours": (0, 1),
    "planes": (("axial", "coronal", "sagittal"), ("axial",), ("sagittal", "axial+coronal", "coronal-sagittal")),
    "plane_weights": (None, "unequal", "validation"),
    "average_decay": (0.0, 0.9),
    "slice_size": ((32, 32), (64, 32)),
    "slice_spacing_mm": ("finest", "voxels", 5.0),
    "keep": ("last", "lowest_loss"),
}


def _covering(factors: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return combinations that contain every pair of values of any two factors, found greedily."""
    rng = np.random.default_rng(0)
    names = list(factors)
    wanted = {
        ((a, x), (b, y))
        for a, b in itertools.combinations(names, 2)
        for x, y in itertools.product(range(len(factors[a])), range(len(factors[b])))
    }
    rows = []
    while wanted:
        candidates = []
        for _ in range(40):
            # Of many rows that contain a missing pair, choose the one with the most missing pairs.
            first = sorted(wanted)[rng.integers(len(wanted))]
            row = {name: int(rng.integers(len(factors[name]))) for name in names} | dict(first)
            candidates.append((sum(pair in wanted for pair in _pairs(row, names)), row))
        row = max(candidates, key=lambda found: found[0])[1]
        wanted -= set(_pairs(row, names))
        rows.append({name: factors[name][index] for name, index in row.items()})
    return rows


def _pairs(row: Mapping[str, int], names: Sequence[str]) -> Iterator[tuple]:
    for a, b in itertools.combinations(names, 2):
        yield (a, row[a]), (b, row[b])


def _label(row: Mapping[str, Any]) -> str:
    return "-".join(str(value).replace(" ", "_") for value in row.values())


def test_the_combinations_hold_every_pair() -> None:
    for factors in (VOLUME, FINETUNE, SLICE):
        rows = _covering(factors)
        assert len(rows) < 60
        for a, b in itertools.combinations(factors, 2):
            assert {(row[a], row[b]) for row in rows} == set(itertools.product(factors[a], factors[b]))


def test_every_hyper_parameter_is_varied() -> None:
    """Except numbers and names that change the length, speed and start of a training."""
    from nnunet_femur.recipe.hyperparameters import FinetuneRecipe, Recipe, SliceRecipe

    plain = {"epochs", "learning_rate", "checkpoint_every", "validation_iterations", "iterations_per_epoch"}
    plain |= {"batch_size", "encoder_weights", "slices_at_once", "head_slices", "adapter_rank"}
    for recipe, factors in ((Recipe, VOLUME), (FinetuneRecipe, FINETUNE), (SliceRecipe, SLICE)):
        assert set(recipe.model_fields) - set(factors) <= plain


def _trained(row: Mapping[str, Any], dataset: str, results: Path, patch: pytest.MonkeyPatch) -> FemurTrainer:
    """Return a trainer after two epochs of nnU-Net's own loop."""
    name, *without = str(row["trainer"]).split(" ", maxsplit=1)
    trainer_class = find_trainer(name)
    if without:
        trainer_class = type(name, (trainer_class,), {"deep_supervision": False, "__init__": trainer_class.__init__})
    recipe = {key: value for key, value in row.items() if key not in ("trainer", "configuration")}
    recipe = {"epochs": 2, "iterations_per_epoch": 2, "validation_iterations": 1, **recipe}
    if recipe.get("plane_weights") == "unequal":
        recipe["plane_weights"] = [1.0, 0.0, 3.0][: len(recipe["planes"])]
    if "slice_size" in recipe:
        recipe["batch_size"] = 64 if recipe["iterations_per_epoch"] is None else 3
    patch.setenv("nnUNet_results", str(results))
    trainer: FemurTrainer = make_trainer(trainer_class, row["configuration"], dataset=dataset, **recipe)
    trainer.initialize()
    training, validation = trainer.do_split()
    # One case makes the pass short.
    patch.setattr(trainer, "do_split", lambda: (training[:1], validation[:1]))
    trainer.run_training()
    return trainer


def _check(trainer: FemurTrainer) -> None:
    losses = trainer.logger.get_value("train_losses", step=None)
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    assert all(torch.isfinite(value).all() for value in trainer.network.parameters())
    left = {path.name for path in Path(trainer.output_folder).glob("*")}
    assert {"checkpoint_final.pth", "run.json"} <= left


@pytest.mark.usefixtures("nnunet")
@pytest.mark.parametrize("row", _covering(VOLUME), ids=_label)
def test_volumes(row: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _check(_trained(row, PHANTOMS, tmp_path, monkeypatch))


@pytest.mark.usefixtures("transfer")
@pytest.mark.parametrize("row", _covering(FINETUNE), ids=_label)
def test_finetuning(row: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _check(_trained(row, TRANSFERRED, tmp_path, monkeypatch))


@pytest.mark.usefixtures("nnunet")
@pytest.mark.parametrize("row", _covering(SLICE), ids=_label)
def test_slices(row: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained, or refused before a folder is created."""
    without_femur = row["foreground_fraction"] == 0
    if without_femur and (row["iterations_per_epoch"] is None or "Head" in row["trainer"]):
        with refused("invalid-recipe", "foreground_fraction"):
            _trained(row, PHANTOMS, tmp_path, monkeypatch)
        assert not list(tmp_path.iterdir())
        return
    _check(_trained(row, PHANTOMS, tmp_path, monkeypatch))
