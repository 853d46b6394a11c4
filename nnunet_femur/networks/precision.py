"""Numerical precision of a network: float32, float16 (autocast on CUDA) or bfloat16 (autocast on processors)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

Precision = Literal["float32", "float16", "bfloat16"]
"""Type of the numbers that a network computes with."""

_CAPABILITIES: dict[str, Precision] = {"FP32": "float32", "FP16": "float16", "BF16": "bfloat16"}
"""OpenVINO's names of precisions."""

_AUTOCAST = ("cuda", "cpu")
"""Devices that nnU-Net or this package may autocast on."""


def calculates_in_bfloat16() -> bool:
    """Return True if the processor has instructions for bfloat16; without them, bfloat16 is slower than float32."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict[str, bool])()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def openvino_precisions() -> tuple[Precision, ...]:
    """Return the precisions that this processor has instructions for and OpenVINO uses; none without OpenVINO.

    Example:
        >>> "float32" in openvino_precisions()
        True
    """
    try:
        import openvino

        capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    # Without OpenVINO's libraries or its plugin for this processor, any error can occur.
    except Exception:  # noqa: BLE001
        return ()
    return tuple(precision for name, precision in _CAPABILITIES.items() if name in capabilities)


def training_precision(network: nn.Module, device: torch.device) -> Precision:
    """Return the precision of a network in nnU-Net's own training steps on a device."""
    return "float16" if device.type == "cuda" and not is_held_to_float32(network) else "float32"


def validation_precision(network: nn.Module, device: torch.device) -> Precision:
    """Return the precision of a network in nnU-Net's own validation and prediction on a device."""
    if is_held_to_float32(network):
        return "float32"
    if device.type == "cuda":
        return "float16"
    return "bfloat16" if device.type == "cpu" and any(m.in_bfloat16 for m in _choosing(network)) else "float32"


def hold_to_float32(network: nn.Module) -> nn.Module:
    """Make a network compute in float32, also where its caller has switched autocast on.

    nnU-Net autocasts to float16 on CUDA in its training steps, its validation and its predictor, and has no option
    against it. The innermost autocast setting counts, so the network itself switches autocast off.

    Args:
        network: Any network. It is changed in place; the names of its weights stay the same.

    Returns:
        The same network.

    Example:
        >>> network = hold_to_float32(nn.Conv2d(1, 2, 3))
        >>> with torch.autocast("cpu", dtype=torch.bfloat16):
        ...     network(torch.zeros(1, 1, 8, 8)).dtype
        torch.float32
    """
    for module in _choosing(network):
        module.in_bfloat16 = False
    if not is_held_to_float32(network):
        # A subclass, not a wrapper or a hook: weights keep their names, copies keep the setting, and torch.compile
        # sees ordinary code.
        network.__class__ = _held(type(network))
    return network


def is_held_to_float32(network: nn.Module) -> bool:
    """Return True if :func:`hold_to_float32` was applied to a network."""
    return bool(getattr(type(network), "held_to_float32", False))


@contextmanager
def calculating_in(network: nn.Module, precision: Precision) -> Iterator[None]:
    """Let a network predict in a precision, and restore the settings of network and process afterwards.

    Networks of slices, which choose bfloat16 by themselves, use it only if it is the precision. In float32, GPUs
    compute without TensorFloat-32, which keeps 10 bits of a float32's 23. An autocast is the caller's.

    Args:
        network: The network.
        precision: The precision.
    """
    choosing = _choosing(network)
    before = [module.in_bfloat16 for module in choosing]
    backends: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    tensor_float = [backend.allow_tf32 for backend in backends]
    for module in choosing:
        module.in_bfloat16 = precision == "bfloat16"
    if precision == "float32":
        forbid_tensor_float()
    try:
        yield
    finally:
        for module, value in zip(choosing, before, strict=True):
            module.in_bfloat16 = value
        for backend, value in zip(backends, tensor_float, strict=True):
            backend.allow_tf32 = value


def forbid_tensor_float() -> None:
    """Switch off TensorFloat-32, which PyTorch allows in convolutions by default."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def _choosing(network: nn.Module) -> list[Any]:
    """Return the modules that choose bfloat16 by themselves, which are networks of slices."""
    return [module for module in network.modules() if hasattr(module, "in_bfloat16")]


def _held(network_class: type[nn.Module]) -> type[nn.Module]:
    def forward(self: nn.Module, x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Compute in float32."""
        if x.device.type not in _AUTOCAST:
            return network_class.forward(self, x, *args, **kwargs)
        with torch.autocast(x.device.type, enabled=False):
            return network_class.forward(self, x, *args, **kwargs)

    return type(network_class.__name__, (network_class,), {"forward": forward, "held_to_float32": True})
