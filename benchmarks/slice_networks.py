"""The table of two-dimensional networks in docs/slice-networks.md: parameters, stride, memory.

    uv run python benchmarks/slice_networks.py

Memory is that of all tensors alive at once, in float32, counted while the network runs on tensors without content; the
libraries' own work space comes on top, and half precision takes about half of what is not weights.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from nnunet_femur.networks.registry import ARCHITECTURES, ENCODERS, build_slice_network, stride_of

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 16
SIZE = 256


class _Alive(TorchDispatchMode):
    """Counts the bytes of the tensors that operations make, and the most that were alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._now = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        tree_map_only(torch.Tensor, self._count, made)
        return made

    def _count(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage not in self._known:
            self._known.add(storage)
            self._now += storage.nbytes()
            self.peak = max(self.peak, self._now)
            weakref.finalize(storage, self._forget, storage.nbytes())

    def _forget(self, size: int) -> None:
        self._now -= size


def peak_bytes(run: Callable[[], object]) -> int:
    """Bytes of the tensors that `run` makes or cuts views of and that are alive together, at most."""
    with _Alive() as alive:
        run()
    return alive.peak


def build(architecture: str, encoder: str) -> torch.nn.Module:
    """A network without content."""
    with torch.device("meta"):
        # The first layer is made anew for grey images, on the processor.
        return build_slice_network(architecture, encoder, in_channels=1, classes=2).to("meta")


def weight_bytes(network: torch.nn.Module) -> int:
    """Bytes of the parameters and buffers."""
    return sum(t.numel() * t.element_size() for t in (*network.parameters(), *network.buffers()))


def training_bytes(network: torch.nn.Module) -> int:
    """Weights, Adam's two moments, gradients and activations of one step."""
    network.train()
    optimizer = torch.optim.Adam(network.parameters())

    def step() -> None:
        images = torch.zeros(BATCH, 1, SIZE, SIZE, device="meta")
        reference = torch.zeros(BATCH, SIZE, SIZE, device="meta", dtype=torch.long)
        functional.cross_entropy(network(images), reference).backward()

    moments = 2 * sum(p.numel() * p.element_size() for group in optimizer.param_groups for p in group["params"])
    return weight_bytes(network) + moments + peak_bytes(step)


def prediction_bytes(network: torch.nn.Module) -> int:
    """Weights and one pass of slices."""
    network.eval()
    with torch.no_grad():
        return weight_bytes(network) + peak_bytes(lambda: network(torch.zeros(BATCH, 1, SIZE, SIZE, device="meta")))


def table() -> str:
    """The table, as it stands in the document."""
    lines = [
        "| trainer | parameters (million) | stride | memory of training (GiB) | memory of prediction (GiB) |",
        "|---|---|---|---|---|",
    ]
    for architecture in ARCHITECTURES:
        for encoder in ENCODERS:
            network = build(architecture, encoder)
            millions = sum(p.numel() for p in network.parameters()) / 1e6
            training, prediction = training_bytes(network) / 2**30, prediction_bytes(network) / 2**30
            name = f"`Femur{architecture}{encoder}Trainer`"
            lines.append(f"| {name} | {millions:.1f} | {stride_of(network)} | {training:.1f} | {prediction:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
