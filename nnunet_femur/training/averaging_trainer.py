"""Trainer with a moving average of the weights, with which the network is validated, saved and predicts."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nnunet_femur.training.base import FemurTrainer

if TYPE_CHECKING:
    from collections.abc import Iterator

_RAW_WEIGHTS = "femur_raw_weights"
"""Key of a checkpoint for the weights before averaging, from which a resumed training continues."""


class AveragingTrainer(FemurTrainer):
    """Trainer with an exponential moving average of the weights, if the recipe has an `average_decay` above 0.

    The network is trained with its own weights. The validation after each epoch, checkpoints and the end of the
    training have the average.
    """

    _average: AveragedModel | None = None
    _raw_weights: dict[str, Any] | None = None

    @property
    def average_decay(self) -> float:
        """Decay of the average per iteration; 0 for no average."""
        return float(getattr(self.recipe, "average_decay", 0.0))

    def on_train_start(self) -> None:
        """Start as nnU-Net does, and start the average at the weights of the network."""
        super().on_train_start()
        self._average = self._new_average()

    def _new_average(self) -> AveragedModel | None:
        if not self.average_decay:
            return None
        average = AveragedModel(self.bare_network, multi_avg_fn=get_ema_multi_avg_fn(self.average_decay))
        # The average starts at the first weights (or, resumed, at the saved average), not after the first step.
        average.n_averaged.fill_(1)
        if self._raw_weights is not None:
            self.bare_network.load_state_dict(self._raw_weights)
            self._raw_weights = None
        return average

    def train_step(self, batch: dict) -> dict:
        """Train one step, then update the average."""
        result = super().train_step(batch)
        if self._average is not None:
            self._update_average(self._average)
        return result

    def _update_average(self, average: AveragedModel) -> None:
        # PyTorch copies buffers, or averages all of them. The statistics of batch normalisation are averaged here;
        # counters are copied.
        before = [buffer.clone() for buffer in average.module.buffers()]
        average.update_parameters(self.bare_network)
        for buffer, old in zip(average.module.buffers(), before, strict=True):
            if buffer.is_floating_point():
                buffer.copy_(old.lerp(buffer, 1 - self.average_decay))

    def _swap_average(self) -> None:
        """Swap the weights of the network and the average."""
        if self._average is not None:
            for raw, averaged in zip(_tensors(self.bare_network), _tensors(self._average.module), strict=True):
                raw.data, averaged.data = averaged.data, raw.data

    def on_validation_epoch_start(self) -> None:
        """Use the average for the validation of the epoch."""
        self._swap_average()
        super().on_validation_epoch_start()

    def on_validation_epoch_end(self, val_outputs: list[dict]) -> None:
        """Return to the weights before averaging."""
        super().on_validation_epoch_end(val_outputs)
        self._swap_average()

    def finish_average(self) -> None:
        """End the averaging: the network has the averaged weights from now on."""
        if self._average is not None:
            self._raw_weights = copied_weights(self.bare_network)
            self._swap_average()
            self._average = None

    def on_train_end(self) -> None:
        """Finish with the averaged weights, which the final validation uses."""
        self.finish_average()
        super().on_train_end()

    def checkpoint_changes(self) -> dict[str, Any]:
        """Return the average as the weights that nnU-Net predicts with, and the weights before averaging."""
        changes = super().checkpoint_changes()
        if self._average is not None:
            changes["network_weights"] = self._average.module.state_dict()
            changes[_RAW_WEIGHTS] = self.bare_network.state_dict()
        elif self._raw_weights is not None:
            changes[_RAW_WEIGHTS] = self._raw_weights
        return changes

    def load_checkpoint(self, filename_or_checkpoint: dict | str) -> None:
        """Load a checkpoint to resume from or to validate, with the entries of :meth:`checkpoint_changes`."""
        filename_or_checkpoint = self.newest_checkpoint(filename_or_checkpoint)
        super().load_checkpoint(filename_or_checkpoint)
        entries = filename_or_checkpoint
        if not isinstance(entries, dict):
            entries = torch.load(entries, map_location="cpu", weights_only=False)
        self.read_checkpoint_changes(entries)

    def read_checkpoint_changes(self, checkpoint: dict[str, Any]) -> None:
        """Read the entries of a checkpoint that nnU-Net does not read."""
        if self.average_decay:
            self._raw_weights = checkpoint.get(_RAW_WEIGHTS)


def copied_weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return a copy on the CPU of the weights of a network by name, one copy of a tensor that has several names.

    nnU-Net's modules register most tensors two to four times. A checkpoint contains each copy once.

    Example:
        >>> layer = torch.nn.Linear(2, 1)
        >>> copied = copied_weights(torch.nn.ModuleList([layer, layer]))
        >>> list(copied), copied["0.bias"] is copied["1.bias"]
        (['0.weight', '0.bias', '1.weight', '1.bias'], True)
    """
    copies: dict[tuple[int, torch.Size], torch.Tensor] = {}
    found = {}
    for name, tensor in network.state_dict().items():
        key = tensor.data_ptr(), tensor.shape
        if key not in copies:
            copies[key] = tensor.detach().to("cpu", copy=True)
        found[name] = copies[key]
    return found


def _tensors(network: torch.nn.Module) -> Iterator[torch.Tensor]:
    return chain(network.parameters(), network.buffers())
