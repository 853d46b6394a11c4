"""Labels and networks of exported models."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.model_export import export
from nnunet_femur.model_export.stock_model import stock_labels, stock_plans
from nnunet_femur.model_export.stock_target import require_stock
from nnunet_femur.model_export.trained_networks import load_networks
from nnunet_femur.prediction.trained_model import find_model
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class TestLabels:
    def test_of_fine_tuned_networks_are_totalsegmentators(self, finetuned: Path) -> None:
        labels = stock_labels(load_networks(find_model(finetuned)))
        assert sorted(labels.values()) == list(range(24))
        assert (labels["femur_left"], labels["femur_right"]) == (7, 8)
        assert not [name for name in labels if name.startswith("class_")]

    def test_of_another_source_name_the_femurs_only(self, make_trained: Callable[..., Path]) -> None:
        """A source whose channels are not those of the installed TotalSegmentator."""
        networks = load_networks(find_model(make_trained(femur_rows=[3, 5])))
        labels = stock_labels(networks)
        assert (labels["femur_left"], labels["femur_right"], labels["class_7"]) == (3, 5, 7)
        assert sorted(labels.values()) == list(range(24))

    def test_of_others_are_the_datasets(self, make_trained: Callable[..., Path]) -> None:
        networks = load_networks(find_model(make_trained("FemurFinetunePaperTrainer")))
        assert not networks.has_merged_heads
        assert stock_labels(networks) == {"background": 0, "femur": 1}


def test_plans_of_a_configuration_that_inherits(make_trained: Callable[..., Path]) -> None:
    """nnU-Net reads the exported plans without the parent."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    folder = make_trained("FemurScratchTrainer")
    plans = json.loads((folder / "plans.json").read_text())
    parent = plans["configurations"].pop("3d_fullres")
    plans["configurations"] |= {"parent": parent, "3d_fullres": {"inherits_from": "parent", "batch_size": 4}}
    (folder / "plans.json").write_text(json.dumps(plans))
    exported = PlansManager(stock_plans(load_networks(find_model(folder)), plans_name="Other"))
    assert exported.available_configurations == ["3d_fullres"]
    assert exported.get_configuration("3d_fullres").patch_size == parent["patch_size"]
    assert exported.get_configuration("3d_fullres").batch_size == 4


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("trainer", ["FemurScratchTrainer", "FemurFinetunePaperTrainer"])
def test_other_networks_keep_their_masks(trainer: str, make_trained: Callable[..., Path], tmp_path: Path) -> None:
    exported = export(make_trained(trainer), tmp_path / "out")
    assert exported.parity.femur_voxels > 100
    assert exported.parity.differing_voxels == 0


@pytest.mark.usefixtures("in_this_process")
def test_residual_encoders_keep_their_masks(make_trained: Callable[..., Path], tmp_path: Path) -> None:
    """nnU-Net's ResEnc networks, here with random weights; two folds."""
    exported = export(make_trained("FemurScratchTrainer", folds=2, residual=True), tmp_path / "out")
    assert [fold.femur_voxels > 100 for fold in exported.parity.folds] == [True, True]
    assert exported.parity.differing_voxels == 0
    assert "| network | ResidualEncoderUNet |" in exported.card.read_text()


def test_trainers_of_others_are_refused(finetuned: Path) -> None:
    networks = replace(load_networks(find_model(finetuned)), trainer="HospitalTrainer")
    with refused("unsupported", "HospitalTrainer"):
        require_stock(networks)
