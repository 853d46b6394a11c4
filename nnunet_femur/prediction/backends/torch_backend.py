"""PyTorch as a backend, on processors and graphics cards."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch

from nnunet_femur.networks.precision import Precision, calculating_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from nnunet_femur.prediction.backends.backend import Parameters

_TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}

_VOXELS_AT_ONCE = 4 * 128**3
"""Voxels of the windows that a graphics card computes at once: smaller networks do not use all of it."""

_WINDOWS_AT_ONCE = 32


class TorchBackend:
    """The network as PyTorch computes it.

    On graphics cards, windows are computed in batches. If one does not fit into the memory, it is divided, and later
    batches are as small. Windows in main memory are transferred from pinned memory, without waiting.

    Args:
        network: The network, on its device and in evaluation mode.
        device: Its device.
        precision: Precision to compute in; other than float32 by autocast.
        patch_size: Size of a window along its axes.

    Example:
        >>> import torch
        >>> network = torch.nn.Conv3d(1, 2, 3, padding=1)
        >>> backend = TorchBackend(network, torch.device("cpu"), patch_size=(8, 8, 8))
        >>> backend.load(network.state_dict())
        >>> backend(torch.zeros(1, 1, 8, 8, 8)).shape
        torch.Size([1, 2, 8, 8, 8])
    """

    name = "torch"

    def __init__(
        self,
        network: torch.nn.Module,
        device: torch.device,
        *,
        patch_size: tuple[int, ...],
        precision: Precision = "float32",
    ) -> None:
        self.network = network
        self.device = device
        self.precision = precision
        self.batch = 1
        if device.type == "cuda":
            self.batch = max(1, min(_WINDOWS_AT_ONCE, _VOXELS_AT_ONCE // math.prod(patch_size)))
        self.notes: list[str] = []
        self.free_memory: Callable[[], bool] | None = None

    def load(self, parameters: Parameters) -> None:
        """Load the weights of a fold into the network."""
        # With nnUNet_compile, nnU-Net calls a wrapper around the network.
        getattr(self.network, "_orig_mod", self.network).load_state_dict(parameters)

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """Return the logits of windows, see :class:`~nnunet_femur.prediction.backends.Backend`."""
        parts, first = [], 0
        while first < len(windows):
            part = windows[first : first + self.batch]
            try:
                parts.append(self._logits(part))
                first += len(part)
            except torch.OutOfMemoryError:
                if not self._adapt(len(part)):
                    raise
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _logits(self, windows: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(), self._computing():
            logits: torch.Tensor = self.network(self._on_device(windows))
        # Sums over windows are kept in float16, which has more digits than bfloat16.
        return logits.float() if logits.dtype is torch.bfloat16 else logits

    def _on_device(self, windows: torch.Tensor) -> torch.Tensor:
        if self.device.type == "cuda" and windows.device.type == "cpu":
            return windows.pin_memory().to(self.device, non_blocking=True)
        return windows.to(self.device)

    def _adapt(self, tried: int) -> bool:
        """Return True if another pass needs less memory, or has more of it, than one of `tried` windows had."""
        if tried > 1:
            self.batch = tried // 2
            note = (
                f"{tried} windows did not fit into the device's memory at once; the batch is {self.batch} from now on."
            )
        elif self.free_memory is not None and self.free_memory():
            note = "The sums over windows are kept in main memory, since the device's memory was too small."
        else:
            return False
        if note not in self.notes:
            self.notes.append(note)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return True

    def _computing(self) -> AbstractContextManager[Any]:
        stack = ExitStack()
        stack.enter_context(calculating_in(self.network, self.precision))
        reduced = self.precision != "float32"
        if reduced or torch.is_autocast_enabled(self.device.type):
            stack.enter_context(torch.autocast(self.device.type, dtype=_TYPES[self.precision], enabled=reduced))
        return stack
