"""Low-rank adapters of convolutions (LoRA; Hu et al. 2021, arXiv 2106.09685) in networks whose state dict is plain.

A convolution with the weight W, as a matrix with a row for each of its first channels, gets two small matrices: it
computes with W + up @ down. Only these are trained. The state dict of the network contains the sum under W's own name,
so checkpoints of such a network are those of the network without adapters, and predict anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ORIGINAL, _DOWN, _UP = (f"parametrizations.weight.{name}" for name in ("original", "0.down", "0.up"))


class Adapter(nn.Module):
    """Low-rank addition to the weight of a convolution. It starts at zero.

    Args:
        weight: The weight, shape (channels, ...).
        rank: Rank of the addition; not above the smaller side of the matrix.

    Example:
        >>> adapter = Adapter(torch.ones(4, 2, 3, 3, 3), rank=2)
        >>> [tuple(p.shape) for p in adapter.parameters()]
        [(2, 54), (4, 2)]
    """

    def __init__(self, weight: torch.Tensor, *, rank: int) -> None:
        super().__init__()
        rows, columns = weight.shape[0], weight[0].numel()
        rank = min(rank, rows, columns)
        self.down = nn.Parameter(weight.new_empty(rank, columns))
        self.up = nn.Parameter(weight.new_zeros(rows, rank))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the weight with the addition."""
        return weight + self.addition().view_as(weight)

    def addition(self) -> torch.Tensor:
        """Return the addition as a matrix."""
        return self.up @ self.down


def add_adapters(network: nn.Module, *, rank: int) -> nn.Module:
    """Give adapters to all convolutions of a U-Net of nnU-Net except its segmentation heads, in place.

    Args:
        network: The network.
        rank: Rank of the adapters.

    Example:
        >>> network = nn.Sequential(nn.Conv3d(1, 8, 3), nn.Conv3d(8, 8, 3))
        >>> names = set(network.state_dict())
        >>> trained = [name for name, _ in add_adapters(network, rank=2).named_parameters() if is_adapter(name)]
        >>> len(trained), set(network.state_dict()) == names
        (4, True)
    """
    for name, module in list(network.named_modules()):
        if isinstance(module, _ConvNd) and "seg_layers" not in name:
            parametrize.register_parametrization(module, "weight", Adapter(module.weight, rank=rank))
            module.register_state_dict_post_hook(_merge)
            module.register_load_state_dict_pre_hook(_split)
    return network


def is_adapter(parameter: str) -> bool:
    """Return True for the name of a parameter of an adapter.

    Example:
        >>> is_adapter("encoder.stages.0.conv.parametrizations.weight.0.up"), is_adapter("encoder.stages.0.conv.bias")
        (True, False)
    """
    return parameter.endswith((_DOWN, _UP))


def adapter_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return copies of the parameters of a network's adapters; empty if it has none."""
    return {name: value.detach().clone() for name, value in network.named_parameters() if is_adapter(name)}


def load_adapters(network: nn.Module, adapters: Mapping[str, torch.Tensor]) -> None:
    """Restore adapters in a network whose state dict was saved with them and loaded without.

    The weights of its convolutions stay the same: the additions are subtracted from their fixed parts.

    Args:
        network: A network with adapters that are zero.
        adapters: The result of :func:`adapter_state`.
    """
    parameters = dict(network.named_parameters())
    with torch.no_grad():
        for name, value in adapters.items():
            parameters[name].copy_(value)
        for module in _adapted(network):
            fixed, adapter = _parts(module)
            fixed -= adapter.addition().view_as(fixed)


def _adapted(network: nn.Module) -> Iterator[nn.Module]:
    return (
        module for module in network.modules() if isinstance(module, _ConvNd) and parametrize.is_parametrized(module)
    )


def _parts(module: nn.Module) -> tuple[torch.Tensor, Adapter]:
    """Return the fixed part of a convolution's weight, and its adapter."""
    parts: Any = module.get_submodule("parametrizations.weight")
    return parts.original, parts[0]


def _merge(module: nn.Module, state: dict[str, torch.Tensor], prefix: str, _: Any) -> None:
    """Replace the parts of a weight in a state dict by their sum."""
    for part in (_ORIGINAL, _DOWN, _UP):
        state.pop(prefix + part, None)
    fixed, adapter = _parts(module)
    with torch.no_grad():
        state[f"{prefix}weight"] = adapter(fixed)


def _split(module: nn.Module, state: dict[str, torch.Tensor], prefix: str, *_: Any) -> None:
    """Load a weight of a state dict as the fixed part, and make its adapter zero."""
    if f"{prefix}weight" in state:
        adapter = _parts(module)[1]
        state[prefix + _ORIGINAL] = state.pop(f"{prefix}weight")
        state[prefix + _DOWN] = adapter.down.detach()
        state[prefix + _UP] = torch.zeros_like(adapter.up)
