"""Merged heads: before any training, the network predicts the same as its source."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nnunet_femur.networks.merged_heads import MergedHead, merge_channels, merge_heads, source_key


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


class TestMergedHead:
    def test_hand_worked(self) -> None:
        """One voxel, features (1,), logits 0.5, 3, 2, 1; femur is the channels 1 and 3, so 3 against 2."""
        head = nn.Conv3d(1, 4, 1, bias=False)
        head.weight.data = torch.tensor([0.5, 3.0, 2.0, 1.0]).reshape(4, 1, 1, 1, 1)
        merged = MergedHead(head, (1, 3))(torch.ones(1, 1, 1, 1, 1))
        assert merged.flatten().tolist() == [2.0, 3.0]

    @pytest.mark.parametrize("femur_channels", [(7, 8), (0, 23), (5,)])
    def test_femur_is_larger_exactly_where_the_source_predicts_femur(self, femur_channels: tuple[int, ...]) -> None:
        head = nn.Conv3d(6, 24, 1)
        features = torch.randn(2, 6, 7, 5, 3)
        union = torch.isin(head(features).argmax(1), torch.tensor(femur_channels))
        assert 0 < union.sum() < union.numel()
        assert torch.equal(MergedHead(head, femur_channels)(features).argmax(1) == 1, union)

    def test_the_sides_may_be_swapped(self) -> None:
        """A mirrored patch has the other side's femur: merged channels need no swap of the sides' channels."""
        logits = torch.randn(2, 24, 5, 4, 3)
        swapped = logits.clone()
        swapped[:, [7, 8]] = logits[:, [8, 7]]
        assert torch.equal(merge_channels(swapped, (7, 8)), merge_channels(logits, (7, 8)))

    def test_gradients_reach_the_largest_channels(self) -> None:
        head = nn.Conv3d(6, 24, 1)
        MergedHead(head, (7, 8))(torch.randn(2, 6, 7, 5, 3)).sum().backward()
        assert head.weight.grad is not None
        assert head.weight.grad[7:9].abs().sum() > 0


class _Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.Module()
        self.decoder.seg_layers = nn.ModuleList([nn.Conv3d(4, 24, 1), nn.Conv3d(2, 24, 1)])


def test_every_head_is_merged_and_keeps_its_name() -> None:
    network = _Network()
    names = set(network.state_dict())
    merge_heads(network, (7, 8))
    assert all(isinstance(layer, MergedHead) for layer in network.decoder.seg_layers)
    assert {source_key(name) for name in network.state_dict()} == names
    assert "decoder.seg_layers.0.head.weight" in network.state_dict()
