"""Stock nnU-Net's trainer beside ours: the same network, optimizer and loss, and figures worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
import training
import training_data
from training_data import TINY, make_ours, make_stock

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")


@pytest.fixture
def _volumes(transfer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = {"slices": ("Dataset001_Femur", "nnUNetPlans"), "volumes": ("Dataset002_Femur", "nnUNetPlans")}
    monkeypatch.setattr(training_data, "PLANS", plans)


@pytest.mark.usefixtures("_volumes")
class TestStock:
    @pytest.mark.parametrize("name", ["FemurScratchTrainer", "FemurUnetMobileNetV3Trainer"])
    def test_has_our_network_without_our_wrapper(self, name: str) -> None:
        ours = make_ours(name, TINY, CPU)
        ours.initialize()
        stock = make_stock(ours, TINY, CPU)
        inner = ours.network if name == "FemurScratchTrainer" else ours.network.network
        assert type(stock.network) is type(inner)
        shapes = [{key: value.shape for key, value in each.state_dict().items()} for each in (inner, stock.network)]
        assert shapes[0] == shapes[1]
        assert type(stock.optimizer) is type(ours.optimizer)
        assert stock.loss is ours.loss
        assert stock.train_step.__func__ is training_data.nnUNetTrainer.train_step

    def test_of_a_fine_tuning_has_two_output_channels(self) -> None:
        ours = make_ours("FemurFinetuneTrainer", TINY, CPU)
        ours.initialize()
        stock = make_stock(ours, TINY, CPU)
        assert ours.network.decoder.seg_layers[-1].head.out_channels == 24
        assert stock.network.decoder.seg_layers[-1].out_channels == 2

    def test_steps_are_taken_by_both(self) -> None:
        """On one ready batch, and every parameter of the fine-tuned network is trained, as after its first epoch."""
        ours = make_ours("FemurFinetuneTrainer", TINY, CPU)
        ours.initialize()
        stock = make_stock(ours, TINY, CPU)
        before = [[value.detach().clone() for value in each.network.parameters()] for each in (ours, stock)]
        figures = training._steps(ours, stock, repetitions=1)
        assert min(figures["bare_ms"], figures["step_ms"]) > 0
        for trainer, old in zip((ours, stock), before, strict=True):
            new = list(trainer.network.parameters())
            changed = [not torch.equal(a, b) for a, b in zip(old, new, strict=True)]
            # The loss of the coarsest resolution has the weight 0, and biases before a normalisation have no gradient.
            assert sum(changed) > 0.5 * len(changed)
        assert ours.current_epoch == 0


class TestFigures:
    def test_ways_are_timed_in_turn(self) -> None:
        called: list[str] = []
        ways = {"a": lambda: called.append("a"), "b": lambda: called.append("b")}
        found = training.in_turn(ways, 3, CPU)
        assert called == ["a", "b"] * 5, "two untimed turns"
        assert set(found) == {"a", "b"}

    def test_ratios(self) -> None:
        row = {"bare_ms": 100.0, "step_ms": 104.0, "loaded_ms_ours": 110.0, "core_ours_ms": 520.0}
        found = training._with_ratios(row)
        assert found["step_ratio"] == pytest.approx(1.04)
        assert found["loaded_ratio"] == pytest.approx(1.1)
        assert found["workers_needed"] == 6, "5.2 processes keep up with the network"
        assert "epoch_ratio" not in found
