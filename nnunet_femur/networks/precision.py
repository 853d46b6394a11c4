"""Precision that a network computes in: float32, float16 (autocast on CUDA) or bfloat16."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from nnunet_femur.networks.three_planes import ThreePlaneNetwork, calculates_in_bfloat16

Precision = Literal["float32", "float16", "bfloat16"]

_AUTOCAST = ("cuda", "cpu")
"""Devices that nnU-Net or this package may autocast on."""


def hold_to_float32(network: nn.Module) -> nn.Module:
    """Make a network compute in float32, also where its caller has switched autocast on.

    nnU-Net autocasts to float16 on CUDA in its training steps, its validation and its predictor, and offers no option
    against it. The innermost setting counts, so the network itself switches autocast off.

    Args:
        network: Any network. It is changed in place; the names of its weights stay the same.

    Returns:
        The same network.
    """
    for module in network.modules():
        if isinstance(module, ThreePlaneNetwork):
            module.in_bfloat16 = False
    if not getattr(type(network), "held_to_float32", False):
        # A subclass, not a wrapper or a hook: weights keep their names, copies keep the setting, and torch.compile
        # sees ordinary code.
        network.__class__ = _held(type(network))
    return network


def is_held_to_float32(network: nn.Module) -> bool:
    """Tell if :func:`hold_to_float32` was applied to a network."""
    return bool(getattr(type(network), "held_to_float32", False))


def validation_precision(network: nn.Module, device: torch.device) -> Precision:
    """Precision that a network computes in under nnU-Net's own validation and prediction on a device."""
    if is_held_to_float32(network):
        return "float32"
    if device.type == "cuda":
        return "float16"
    sliced = any(isinstance(module, ThreePlaneNetwork) and module.in_bfloat16 for module in network.modules())
    return "bfloat16" if device.type == "cpu" and sliced else "float32"


def training_precision(network: nn.Module, device: torch.device) -> Precision:
    """Precision that a network computes in under nnU-Net's own training steps on a device."""
    return "float16" if device.type == "cuda" and not is_held_to_float32(network) else "float32"


def precision_of(device: torch.device, *, half: bool) -> str:
    """Return the type that the network calculates in: "float32", "float16" or "bfloat16".

    Args:
        device: Where the network runs.
        half: Whether half precision is asked for. GPUs take float16, processors with instructions for it bfloat16;
            other processors and Apple's GPUs stay with float32.
    """
    if half and device.type == "cuda":
        return "float16"
    return "bfloat16" if half and device.type == "cpu" and calculates_in_bfloat16() else "float32"


def _held(network_class: type[nn.Module]) -> type[nn.Module]:
    def forward(self: nn.Module, x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if x.device.type not in _AUTOCAST:
            return network_class.forward(self, x, *args, **kwargs)
        with torch.autocast(x.device.type, enabled=False):
            return network_class.forward(self, x, *args, **kwargs)

    return type(network_class.__name__, (network_class,), {"forward": forward, "held_to_float32": True})
