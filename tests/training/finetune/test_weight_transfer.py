"""Weights that do not match a network are refused, with a line for each tensor."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nnunet_femur.training.finetune.weight_transfer import describe_tensor, load_source, misfits
from tests.refusing import names, refused


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("encoder.stages.0.0.convs.1.conv.weight", "encoder, stage 1, convolution 2, weight"),
        ("decoder.stages.2.convs.0.norm.bias", "decoder, stage 3, convolution 1, normalisation, bias"),
        ("decoder.transpconvs.1.weight", "decoder, upsampling 2, weight"),
        ("decoder.seg_layers.3.bias", "decoder, segmentation head 4, bias"),
        ("encoder.stem.convs.0.conv.weight", "encoder, stem, convolution 1, weight"),
        ("encoder.stages.1.blocks.0.conv2.norm.bias", "encoder, stage 2, block 1, convolution 2, normalisation, bias"),
        ("encoder.stages.1.blocks.0.skip.1.conv.weight", "encoder, stage 2, block 1, skip connection, weight"),
    ],
)
def test_describe_tensor(name: str, words: str) -> None:
    assert describe_tensor(name) == words


def test_misfits_are_listed_once_each() -> None:
    network = {
        "encoder.stages.0.0.convs.0.conv.weight": torch.zeros(8, 1, 3, 3, 3),
        "encoder.stages.0.0.convs.0.all_modules.0.weight": torch.zeros(8, 1, 3, 3, 3),
        "decoder.encoder.stages.0.0.convs.0.conv.weight": torch.zeros(8, 1, 3, 3, 3),
        "decoder.transpconvs.0.weight": torch.zeros(4, 8, 2, 2, 2),
    }
    weights = {
        **network,
        "encoder.stages.0.0.convs.0.conv.weight": torch.zeros(8, 2, 3, 3, 3),
        "decoder.seg_layers.0.bias": torch.zeros(24),
    }
    del weights["decoder.transpconvs.0.weight"]
    shape, lost, unknown = misfits(weights, network)
    expected = "encoder.stages.0.0.convs.0.conv.weight"
    assert names(shape, describe_tensor(expected), expected, "8 x 1 x 3 x 3 x 3", "8 x 2 x 3 x 3 x 3")
    assert names(lost, "decoder, upsampling 1, weight: ", "in the weights", "decoder.transpconvs.0.weight")
    assert names(unknown, "decoder, segmentation head 1, bias: ", "in the network", "decoder.seg_layers.0.bias")


class TestLoadSource:
    def _network(self) -> nn.Module:
        network = nn.Module()
        network.body = nn.Linear(2, 2)
        network.decoder = nn.Module()
        network.decoder.seg_layers = nn.ModuleList([nn.Linear(2, 3)])
        return network

    def test_all_or_all_but_the_heads(self) -> None:
        source = self._network().state_dict()
        for heads in (True, False):
            network = self._network()
            before = network.decoder.seg_layers[0].weight.clone()
            load_source(network, source, heads=heads)
            assert torch.equal(network.body.weight, source["body.weight"])
            expected = source["decoder.seg_layers.0.weight"] if heads else before
            assert torch.equal(network.decoder.seg_layers[0].weight, expected)

    def test_nothing_is_loaded_of_what_does_not_fit(self) -> None:
        source = self._network().state_dict()
        source["body.weight"] = torch.zeros(5, 2)
        network = self._network()
        before = network.body.bias.clone()
        with refused("invalid-weights", "2 x 2", "5 x 2"):
            load_source(network, source, heads=True)
        assert torch.equal(network.body.bias, before)
