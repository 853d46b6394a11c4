"""Interface of backends: libraries that compute the network of a fold, and the names that select one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from nnunet_femur.networks.precision import Precision  # noqa: TC001 - part of the interface

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

Parameters = dict[str, "torch.Tensor"]
"""Weights of the network of one fold, by name."""


TOO_LARGE = "The network does not fit into the memory of the device. Use --device cpu, or a GPU with more memory."
"""Message about a device whose memory is too small."""


class Backend(Protocol):
    """Network of a trained model, ready to compute the logits of windows.

    Attributes:
        name: "torch" or "openvino".
        precision: Precision that the network computes in.
        device: Device of the logits.
        batch: Number of windows to compute at once.
        notes: Deviations from the options, such as a smaller batch since memory was short; texts for users.
        free_memory: Called if a single window does not fit into the memory of the device. It frees memory there and
            returns True, or returns False if there is nothing to free. None: there is nothing to free.

    Example:
        >>> import torch
        >>> from nnunet_femur.prediction.backends import make_backend
        >>> network = torch.nn.Conv3d(1, 2, 3, padding=1).eval()
        >>> folds = [network.state_dict()]
        >>> backend: Backend = make_backend(network, folds, patch_size=(8, 8, 8), device=torch.device("cpu"))
        >>> backend.load(folds[0])
        >>> backend(torch.zeros(backend.batch, 1, 8, 8, 8)).shape
        torch.Size([1, 2, 8, 8, 8])
    """

    name: str
    precision: Precision
    device: torch.device
    batch: int
    notes: list[str]
    free_memory: Callable[[], bool] | None

    def load(self, parameters: Parameters) -> None:
        """Use the weights of a fold from now on.

        Args:
            parameters: One of the weights that the backend was made with.
        """

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """Return the logits of windows.

        Args:
            windows: Shape (windows, channels, *axes), on any device, float32. More than `batch` windows are allowed.

        Returns:
            A new tensor of shape (windows, output channels, *axes) on the backend's device, float32 or float16.

        Raises:
            torch.OutOfMemoryError: A single window does not fit into the memory of the device.
        """
