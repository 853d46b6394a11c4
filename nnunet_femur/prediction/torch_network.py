"""Temporary: the network of nnU-Net's predictor as a backend."""

from __future__ import annotations

from typing import Any

import torch

from nnunet_femur.networks.precision import bfloat16_context, calculating_in, precision_of


class TorchNetwork:
    """The network of a predictor."""

    def __init__(self, predictor: Any, *, half: bool) -> None:
        self.predictor, self.half = predictor, half

    def load(self, parameters: dict[str, torch.Tensor]) -> None:
        """Take the weights of a fold."""
        network = self.predictor.network.to(self.predictor.device).eval()
        getattr(network, "_orig_mod", network).load_state_dict(parameters)

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        device = self.predictor.device
        with (
            calculating_in(self.predictor.network, precision_of(device, half=self.half)),
            bfloat16_context(device, half=self.half),
        ):
            found = self.predictor.network(windows.to(device))
        return found.float() if found.dtype is torch.bfloat16 else found
