"""Architectures and encoders of the two-dimensional networks, by the names that trainers use.

A line in :data:`ENCODERS` adds an encoder, and a line in :data:`ARCHITECTURES` adds a decoder. A trainer of three lines
in ``trainers/two_dimensional.py`` makes the pair available to nnU-Net.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import segmentation_models_pytorch as smp
import torch

from nnunet_femur.errors import InputError
from nnunet_femur.networks import deeplabv3

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

_T = TypeVar("_T")


@dataclass(frozen=True)
class Encoder:
    """An encoder of segmentation-models-pytorch or timm.

    Attributes:
        name: Its name in segmentation-models-pytorch; encoders of timm have the prefix "tu-".
        decoder_channels: Channels of the decoder's stages, from the deepest; one stage for each halving.

    Example:
        >>> Encoder("efficientnet-b0").depth
        5
    """

    name: str
    decoder_channels: tuple[int, ...] = (256, 128, 64, 32, 16)

    @property
    def depth(self) -> int:
        """Number of times that the encoder halves the image."""
        return len(self.decoder_channels)


ARCHITECTURES: dict[str, type[nn.Module]] = {
    "Unet": smp.Unet,
    "UnetPlusPlus": smp.UnetPlusPlus,
}
"""Architectures by the names that trainers use."""

ENCODERS: dict[str, Encoder] = {
    "ResNet34": Encoder("resnet34"),
    "ResNet50": Encoder("resnet50"),
    "DeepLabV3": Encoder(deeplabv3.NAME, decoder_channels=(256, 128, 64, 32)),
    "MobileNetV3": Encoder("tu-tf_mobilenetv3_large_100"),
}
"""Encoders by the names that trainers use."""


def find_encoder(encoder: str) -> Encoder:
    """Return the encoder of a name.

    Raises:
        InputError: The name is not in :data:`ENCODERS` (code "invalid-option").

    Example:
        >>> find_encoder("ResNet34").name
        'resnet34'
    """
    return _find(ENCODERS, encoder, "encoder")


def build_slice_network(architecture: str, encoder: str, *, in_channels: int, classes: int) -> nn.Module:
    """Build a network that maps slices to logits of the same size.

    Its weights are always random: nnU-Net also builds the network for each prediction, where nothing must be
    downloaded.

    Args:
        architecture: A name in :data:`ARCHITECTURES`.
        encoder: A name in :data:`ENCODERS`.
        in_channels: Number of channels of a slice.
        classes: Number of logits per pixel.

    Returns:
        A network from shape (batch, in_channels, rows, columns) to (batch, classes, rows, columns). Rows and columns
        must be multiples of its stride, see :func:`stride_of`.

    Raises:
        InputError: The architecture or encoder does not exist (code "invalid-option").

    Example:
        >>> network = build_slice_network("Unet", "MobileNetV3", in_channels=1, classes=2)
        >>> network(torch.zeros(2, 1, 64, 32)).shape
        torch.Size([2, 2, 64, 32])
    """
    build = _find(ARCHITECTURES, architecture, "architecture")
    settings = find_encoder(encoder)
    network = build(
        settings.name,
        encoder_depth=settings.depth,
        encoder_weights=None,
        decoder_channels=settings.decoder_channels,
        in_channels=in_channels,
        classes=classes,
    )
    # Processors and graphics cards convolve fastest in this memory order.
    return network.to(memory_format=torch.channels_last)


def stride_of(network: nn.Module) -> int:
    """Return the number that rows and columns of a slice must be multiples of."""
    return int(network.get_submodule("encoder").output_stride)  # type: ignore[arg-type]


def _find(known: Mapping[str, _T], name: str, kind: str) -> _T:
    if name not in known:
        msg = f"{kind} must be one of {', '.join(known)}, got {name!r}. Add others in {__name__}."
        raise InputError(msg, code="invalid-option")
    return known[name]
