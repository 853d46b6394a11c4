"""The wrapper that runs a network of slices over volumes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nnunet_femur.networks.three_planes import ThreePlaneNetwork


class _PerPixel(nn.Module):
    """Logits that depend on the pixel alone: (x, -x)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert not any(n % 8 for n in x.shape[-2:]), "the wrapper pads to the stride"
        return torch.cat([x, -x], dim=1)


class _Columns(nn.Module):
    """Logits that are the column's index in every row."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        columns = torch.arange(x.shape[-1], dtype=x.dtype).expand(x.shape[0], 1, *x.shape[-2:])
        return torch.cat([columns, torch.zeros_like(columns)], dim=1) / 100


def _volume() -> torch.Tensor:
    """Not cubic, odd in every axis, two in a batch."""
    return torch.randn(2, 1, 5, 9, 13, generator=torch.Generator().manual_seed(0))


class TestVolumes:
    @pytest.mark.parametrize("slices_at_once", [1, 4, 100])
    def test_a_network_of_pixels_gives_its_own_answer(self, slices_at_once: int) -> None:
        """The average of three equal predictions is that prediction only if no axis is swapped, no border lost."""
        volume = _volume()
        wrapper = ThreePlaneNetwork(_PerPixel(), stride=8, slices_at_once=slices_at_once)
        expected = torch.cat([volume, -volume], dim=1).softmax(1)
        assert torch.allclose(wrapper(volume).exp(), expected, atol=1e-6)

    @pytest.mark.parametrize(
        ("axis", "column_axis"),
        [(0, 2), (1, 2), (2, 1)],
        ids=["axial slices: columns are x", "coronal: x", "sagittal: y"],
    )
    def test_rows_and_columns_of_each_plane(self, axis: int, column_axis: int) -> None:
        volume = _volume()
        probability = ThreePlaneNetwork(_Columns(), axes=(axis,), stride=8)(volume).exp()[:, 0]
        shape = [1, 1, 1, 1]
        shape[1 + column_axis] = -1
        index = torch.arange(volume.shape[2 + column_axis], dtype=torch.float32).reshape(shape)
        assert torch.allclose(probability, torch.sigmoid(index / 100).expand_as(probability), atol=1e-6)

    def test_planes_are_averaged_as_probabilities(self) -> None:
        volume = _volume()
        together = ThreePlaneNetwork(_Columns(), stride=8)(volume).exp()
        alone = [ThreePlaneNetwork(_Columns(), axes=(axis,), stride=8)(volume).exp() for axis in range(3)]
        assert torch.allclose(together, torch.stack(alone).mean(0), atol=1e-6)

    def test_a_sure_answer_stays_finite_in_half_precision(self) -> None:
        sure = ThreePlaneNetwork(_PerPixel(), stride=8)(torch.full((1, 1, 8, 8, 8), 1e4))
        # nnU-Net multiplies by a weight of up to 10 and adds in half precision.
        assert torch.isfinite((sure * 10).half()).all()


class TestSlices:
    def test_logits_are_those_of_the_network(self) -> None:
        slices = torch.randn(3, 1, 9, 13)
        assert torch.equal(ThreePlaneNetwork(_PerPixel(), stride=8)(slices), torch.cat([slices, -slices], dim=1))

    def test_gradients_reach_the_network(self) -> None:
        network = nn.Conv2d(1, 2, 3, padding=1)
        ThreePlaneNetwork(network, stride=8)(torch.randn(2, 1, 9, 13)).sum().backward()
        assert network.weight.grad is not None
        assert network.weight.grad.abs().sum() > 0
