"""A segmentation head of many classes that speaks of one: femur against everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class MergedHead(nn.Module):
    """A head whose outputs are two: the largest of all other rows, and the largest of the femur's rows.

    The larger of the two is the femur exactly where the source's largest row is one of the femur's, so before any
    training the network says what its source says. Taking a mean, or keeping three rows only, loses that.

    Args:
        head: The source's layer, with one output channel for each of its classes.
        femur_rows: The channels that mean femur, left or right.
    """

    def __init__(self, head: nn.Module, femur_rows: Sequence[int]) -> None:
        super().__init__()
        self.head = head
        self.femur_rows = tuple(femur_rows)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of background and femur, shape (batch, 2, z, y, x)."""
        rows = self.head(features)
        others = [row for row in range(rows.shape[1]) if row not in self.femur_rows]
        return torch.stack([rows[:, others].amax(1), rows[:, self.femur_rows].amax(1)], 1)


def merge_heads(network: nn.Module, femur_rows: Sequence[int]) -> nn.Module:
    """Merge every segmentation head of one of nnU-Net's U-Nets, those of deep supervision included."""
    layers = network.get_submodule("decoder.seg_layers")
    assert isinstance(layers, nn.ModuleList)  # noqa: S101 - nnU-Net's U-Nets have them
    for index, head in enumerate(layers):
        layers[index] = MergedHead(head, femur_rows)
    return network


def source_key(key: str) -> str:
    """The name that the source's weights have for a tensor of a network with merged heads."""
    return key.replace(".head.", ".") if ".seg_layers." in key else key
