"""Learning rates of fine-tuning: by group, epoch and iteration, worked by hand."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from nnunet_femur.recipe.hyperparameters import FinetunePaperRecipe, FinetuneRecipe
from nnunet_femur.training.finetune.parameter_groups import GroupSchedule, group_of, parameter_groups
from tests.refusing import refused


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("encoder.stages.0.0.convs.0.conv.weight", "encoder 0"),
        ("encoder.stages.4.0.convs.1.norm.bias", "encoder 4"),
        ("decoder.stages.1.convs.0.conv.weight", "decoder 1"),
        ("decoder.transpconvs.3.weight", "decoder 3"),
        ("decoder.seg_layers.2.head.weight", "head"),
        ("decoder.seg_layers.0.bias", "head"),
        ("encoder.stem.convs.0.conv.weight", "encoder 0"),
        ("encoder.stages.2.blocks.0.conv1.conv.weight", "encoder 2"),
        ("decoder.encoder.stem.convs.0.conv.weight", "encoder 0"),
    ],
)
def test_group_of(name: str, group: str) -> None:
    assert group_of(name) == group


@pytest.mark.parametrize("name", ["blocks.0.weight", "encoder.mixer.0.weight", "decoder.up.weight"])
def test_other_networks_are_refused(name: str) -> None:
    with refused("unsupported", name):
        group_of(name)


def test_groups_of_a_residual_encoder() -> None:
    """nnU-Net's ResEnc network: its stem learns with the finest stage."""
    from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

    network = ResidualEncoderUNet(
        1, 2, [2, 4], nn.Conv3d, 3, [1, 2], [1, 1], 2, [1], norm_op=nn.InstanceNorm3d, norm_op_kwargs={"affine": True}
    )
    groups = {group["name"]: group for group in parameter_groups(network, FinetuneRecipe(layer_decay=0.5))}
    assert [(name, group["factor"]) for name, group in groups.items()] == [
        ("head", 1.0),
        ("decoder 0", 1.0),
        ("encoder 1", 0.5),
        ("encoder 0", 0.25),
    ]
    stem = {id(parameter) for parameter in network.encoder.stem.parameters()}
    assert stem <= {id(parameter) for parameter in groups["encoder 0"]["params"]}
    assert sum(len(group["params"]) for group in groups.values()) == len(list(network.parameters()))


def _network() -> nn.Module:
    """Names of nnU-Net's: three encoder and two decoder stages."""
    network = nn.Module()
    network.encoder = nn.Module()
    network.encoder.stages = nn.ModuleList(nn.Linear(1, 1) for _ in range(3))
    network.decoder = nn.Module()
    network.decoder.encoder = network.encoder
    network.decoder.stages = nn.ModuleList(nn.Linear(1, 1) for _ in range(2))
    network.decoder.seg_layers = nn.ModuleList(nn.Linear(1, 1) for _ in range(2))
    return network


class TestParameterGroups:
    def test_every_parameter_is_in_one_group(self) -> None:
        network = _network()
        groups = parameter_groups(network, FinetuneRecipe())
        members = [id(parameter) for group in groups for parameter in group["params"]]
        assert sorted(members) == sorted(id(parameter) for parameter in network.parameters())

    def test_rates_fall_from_the_heads_backwards(self) -> None:
        groups = parameter_groups(_network(), FinetuneRecipe(body_factor=0.5, layer_decay=0.5))
        assert [(group["name"], group["factor"]) for group in groups] == [
            ("head", 1.0),
            ("decoder 1", 0.5),
            ("decoder 0", 0.25),
            ("encoder 2", 0.125),
            ("encoder 1", 0.0625),
            ("encoder 0", 0.03125),
        ]


def _rates(epoch: int, iteration: int, *, iterations_per_epoch: int, **recipe: float) -> list[float]:
    """Return the learning rates of all groups, with two epochs of warm-up at a constant rate of 1."""
    settings = FinetuneRecipe(epochs=10, learning_rate=1.0, schedule="constant", warmup_epochs=2, **recipe)
    optimizer = torch.optim.Adam(parameter_groups(_network(), settings))
    GroupSchedule(optimizer, settings, iterations_per_epoch=iterations_per_epoch).step(epoch, iteration)
    return [group["lr"] for group in optimizer.param_groups]


class TestGroupSchedule:
    @pytest.mark.parametrize(
        ("epoch", "iteration", "head", "body"),
        [
            (0, 0, 0.25, 0.0),
            (0, 3, 1.0, 0.0),
            (1, 0, 1.0, 0.0),
            (2, 1, 0.5, 0.25),
            (2, 9, 1.0, 0.5),
            (9, 0, 1.0, 0.5),
        ],
    )
    def test_hand_worked(self, epoch: int, iteration: int, head: float, body: float) -> None:
        rates = _rates(epoch, iteration, iterations_per_epoch=10, ramp_iterations=4, body_factor=0.5)
        assert rates == [head, *[body] * 5]

    @pytest.mark.parametrize(
        ("epoch", "iteration", "head", "body"),
        [
            (0, 0, 0.1, 0.0),
            (0, 3, 0.4, 0.0),
            (1, 0, 0.5, 0.0),
            (1, 3, 0.8, 0.0),
            (2, 0, 0.1, 0.1),
            (3, 1, 0.6, 0.6),
            (4, 0, 0.9, 0.9),
            (4, 1, 1.0, 1.0),
            (9, 0, 1.0, 1.0),
        ],
    )
    def test_a_ramp_longer_than_an_epoch_goes_on(self, epoch: int, iteration: int, head: float, body: float) -> None:
        """A ramp of ten iterations in epochs of four; it starts again when the body joins, in epoch 2."""
        rates = _rates(epoch, iteration, iterations_per_epoch=4, ramp_iterations=10, body_factor=1.0)
        assert rates == pytest.approx([head, *[body] * 5])

    def test_poly_is_nnunets(self) -> None:
        recipe = FinetuneRecipe(epochs=10, learning_rate=1.0, schedule="poly", warmup_epochs=0, ramp_iterations=0)
        optimizer = torch.optim.Adam(parameter_groups(_network(), recipe))
        GroupSchedule(optimizer, recipe, iterations_per_epoch=10).step(5)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5**0.9)


class TestRecipes:
    def test_the_papers_trains_everything_at_once(self) -> None:
        recipe = FinetunePaperRecipe()
        assert (recipe.optimizer, recipe.learning_rate) == ("Adam", 3e-4)
        assert (recipe.warmup_epochs, recipe.body_factor, recipe.average_decay) == (0, 1.0, 0.0)

    @pytest.mark.parametrize(
        "value",
        [{"warmup_epochs": -1}, {"body_factor": 1.5}, {"average_decay": 1.0}, {"elastic_fraction": -0.1}],
    )
    def test_impossible_values_are_refused(self, value: dict) -> None:
        with pytest.raises(ValidationError) as refused_values:
            FinetuneRecipe(**value)
        assert [error["loc"] for error in refused_values.value.errors()] == [tuple(value)]
