"""The model card: facts of the model, and marks for what is not known."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.model_export.model_card import model_card
from nnunet_femur.model_export.parity import FoldParity, Parity
from nnunet_femur.model_export.targets import target_of
from nnunet_femur.model_export.trained_networks import load_networks
from nnunet_femur.prediction.trained_model import find_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nnunet_femur.model_export.trained_networks import TrainedNetworks


@pytest.fixture(scope="module")
def networks(make_trained: Callable[..., Path]) -> TrainedNetworks:
    return load_networks(find_model(make_trained(folds=2)))


def _parity(femur: int = 100) -> Parity:
    return Parity(
        "a phantom", "a program", "cpu", "float32", tuple(FoldParity(n, femur, femur, femur, 0) for n in "01")
    )


def _tables(card: str) -> dict[str, dict[str, list[str]]]:
    """The cells of each row by section and first cell."""
    found: dict[str, dict[str, list[str]]] = {}
    for section in card.split("\n## ")[1:]:
        rows = (line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|"))
        found[section.splitlines()[0]] = {cells[0]: cells[1:] for cells in rows}
    return found


class TestModelCard:
    def test_sections(self, networks: TrainedNetworks) -> None:
        card = model_card(networks, target_of("nnunet"), _parity())
        sections = ["Model", "Use", "Training data", "Recipe", "Scores", "Parity check", "Limits", "Licence"]
        assert re.findall(r"^## (.*)$", card, re.MULTILINE) == sections
        tables = _tables(card)
        assert tables["Model"]["parameters"] == [f"{sum(p.numel() for p in networks.network.parameters()):,}"]
        assert tables["Model"]["output channels"] == ["24, the femur in 7 and 8"]
        assert tables["Model"]["folds"] == ["0, 1"]
        assert tables["Training data"]["cases for training and validation"] == ["4"]
        assert tables["Training data"]["licence"] == ["**not known**"]
        assert tables["Recipe"]["epochs"] == ["7"]
        assert tables["Parity check"]["1"] == ["100", "100", "0"]

    def test_training_record_of_each_fold(self, networks: TrainedNetworks) -> None:
        record = {"epochs_done": 50, "seconds": 12.5, "device": "NVIDIA", "versions": {"torch": "2.15.0"}}
        record["final_network"] = "lowest_loss"
        path = networks.model.folder / "fold_1" / "run.json"
        path.write_text(json.dumps(record))
        card = model_card(networks, target_of("nnunet"), _parity())
        unknown = "**not known**"
        row = ["50", unknown, "12.5", "NVIDIA", unknown, unknown, "2.15.0"]
        assert _tables(card)["Recipe"]["1"] == row
        assert "fold 1: epoch of the lowest training loss" in card
        path.unlink()

    def test_a_check_without_a_femur_says_so(self, networks: TrainedNetworks) -> None:
        assert "--ct" not in model_card(networks, target_of("nnunet"), _parity())
        assert "--ct" in model_card(networks, target_of("nnunet"), _parity(femur=0))

    def test_of_totalsegmentator_limits_the_classes(self, networks: TrainedNetworks) -> None:
        card = model_card(networks, target_of("totalsegmentator"), _parity())
        assert "21 classes" in card.rpartition("## Limits")[2], "24 channels without background and femurs"
        assert "--roi_subset femur_left femur_right" in card

    def test_cells_are_kept_together(self, networks: TrainedNetworks) -> None:
        networks.model.dataset["description"] = "two | lines\nof text"
        card = model_card(networks, target_of("nnunet"), _parity())
        del networks.model.dataset["description"]
        assert "| description | two \\| lines of text |" in card
