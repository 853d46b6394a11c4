"""Segmentation heads of many classes merged into two output channels: background and femur.

A maximum over classes and a sum over windows do not commute, and neither do a maximum and an interpolation. So the
channels are merged inside the network during training, where there is one window and one grid. At prediction the
network outputs all channels; nnU-Net adds up the windows and resamples each channel, and the channels are merged last.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
    from numpy.typing import NDArray


class MergedHead(nn.Module):
    """Segmentation head with two output channels: the maximum of all other classes, and that of the femur's classes.

    The second is the larger of the two exactly where the source's largest channel is one of the femur's. So before any
    training the network predicts the same mask as its source. A mean, or a selection of three channels, does not.

    Args:
        head: The source's layer, with one output channel for each of its classes.
        femur_channels: The channels that mean femur, left or right.
        merges: True to merge the channels; False to output all of them.

    Example:
        >>> head = MergedHead(nn.Conv3d(4, 24, 1), femur_channels=(7, 8))
        >>> head(torch.zeros(1, 4, 5, 5, 5)).shape
        torch.Size([1, 2, 5, 5, 5])
    """

    def __init__(self, head: nn.Module, femur_channels: Sequence[int], *, merges: bool = True) -> None:
        super().__init__()
        self.head = head
        self.femur_channels = tuple(femur_channels)
        self.merges = merges

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits of background and femur, shape (batch, 2, z, y, x), or those of all classes."""
        logits = self.head(features)
        return merge_channels(logits, self.femur_channels) if self.merges else logits


def merge_channels(logits: torch.Tensor, femur_channels: Sequence[int]) -> torch.Tensor:
    """Return the maximum of all other channels and that of the femur's.

    Args:
        logits: Logits of all classes, shape (batch, classes, ...).
        femur_channels: The channels that mean femur.

    Returns:
        Logits of background and femur, shape (batch, 2, ...).
    """
    # Views of runs of channels: an index by a list would copy them in every step, and add up gradients by index.
    runs = _runs(logits.shape[1], femur_channels)
    largest: dict[bool, torch.Tensor] = {}
    for (is_femur, _), part in zip(runs, logits.split([length for _, length in runs], 1), strict=True):
        of_run = part.amax(1) if part.shape[1] > 1 else part[:, 0]
        largest[is_femur] = torch.maximum(largest[is_femur], of_run) if is_femur in largest else of_run
    return torch.stack([largest[False], largest[True]], 1)


def _runs(channels: int, femur_channels: Sequence[int]) -> list[tuple[bool, int]]:
    """Return the runs of neighbouring channels that are all the femur's, or all others, with their lengths."""
    femur = set(femur_channels)
    return [(is_femur, len(list(run))) for is_femur, run in groupby(range(channels), key=lambda each: each in femur)]


def merge_heads(network: nn.Module, femur_channels: Sequence[int]) -> nn.Module:
    """Merge all segmentation heads of one of nnU-Net's U-Nets in place, those of deep supervision included."""
    layers = network.get_submodule("decoder.seg_layers")
    assert isinstance(layers, nn.ModuleList)  # noqa: S101 - nnU-Net's U-Nets have them
    for index, head in enumerate(layers):
        layers[index] = MergedHead(head, femur_channels)
    return network


def source_key(key: str) -> str:
    """Return the source's name of a tensor of a network with merged heads.

    Example:
        >>> source_key("decoder.seg_layers.0.head.weight")
        'decoder.seg_layers.0.weight'
    """
    return key.replace(".head.", ".") if ".seg_layers." in key else key


class MergingLabelManager(LabelManager):
    """nnU-Net's label manager for a network that outputs a channel for each class of its source.

    It merges the channels after nnU-Net has added up the windows and resampled them.

    Args:
        label_dict: The dataset's labels: background and femur.
        channels: Number of output channels.
        femur_channels: The channels that mean femur.
        further: Other arguments of nnU-Net's label manager.
    """

    def __init__(self, label_dict: dict, *, channels: int, femur_channels: Sequence[int], **further: Any) -> None:
        super().__init__(label_dict, **further)
        self.channels = channels
        self.femur_channels = tuple(femur_channels)

    @property
    def num_segmentation_heads(self) -> int:
        """Number of output channels of the network."""
        return self.channels

    def convert_logits_to_segmentation(self, predicted_logits: NDArray | torch.Tensor) -> NDArray | torch.Tensor:
        """Return 1 where the largest channel is one of the femur's, else 0.

        Args:
            predicted_logits: Logits of all classes, shape (classes, z, y, x).

        Returns:
            The mask, shape (z, y, x).
        """
        segmentation = merge_channels(torch.as_tensor(predicted_logits)[None], self.femur_channels)[0].argmax(0)
        return segmentation if isinstance(predicted_logits, torch.Tensor) else segmentation.numpy()

    def apply_inference_nonlin(self, logits: NDArray | torch.Tensor) -> torch.Tensor:
        """Return probabilities of background and femur, shape (2, z, y, x), as in training."""
        probabilities: torch.Tensor = super().apply_inference_nonlin(
            merge_channels(torch.as_tensor(logits)[None], self.femur_channels)[0]
        )
        return probabilities

    def convert_probabilities_to_segmentation(
        self, predicted_probabilities: NDArray | torch.Tensor
    ) -> NDArray | torch.Tensor:
        """Return 1 where the femur's probability is the larger; from shape (2, z, y, x) to (z, y, x)."""
        return predicted_probabilities.argmax(0)


def output_all_channels(
    network: nn.Module, plans_manager: PlansManager, *, channels: int, femur_channels: Sequence[int]
) -> None:
    """Make a network output all channels, and nnU-Net's prediction under these plans merge them.

    Args:
        network: A network with merged heads; changed in place.
        plans_manager: The plans; they give a :class:`MergingLabelManager` from now on.
        channels: Number of the source's classes.
        femur_channels: The channels that mean femur.
    """
    for module in network.modules():
        if isinstance(module, MergedHead):
            module.merges = False
    plans_manager.get_label_manager = partial(_label_manager, channels=channels, femur_channels=tuple(femur_channels))


@contextmanager
def outputting_all_channels(
    network: nn.Module, plans_manager: PlansManager, *, channels: int, femur_channels: Sequence[int]
) -> Iterator[None]:
    """Apply :func:`output_all_channels` for the duration of a block, in a training that predicts in between."""
    output_all_channels(network, plans_manager, channels=channels, femur_channels=femur_channels)
    try:
        yield
    finally:
        del plans_manager.get_label_manager
        for module in network.modules():
            if isinstance(module, MergedHead):
                module.merges = True


def _label_manager(
    dataset_json: dict, *, channels: int, femur_channels: Sequence[int], **further: Any
) -> MergingLabelManager:
    return MergingLabelManager(
        dataset_json["labels"],
        channels=channels,
        femur_channels=femur_channels,
        regions_class_order=dataset_json.get("regions_class_order"),
        **further,
    )
