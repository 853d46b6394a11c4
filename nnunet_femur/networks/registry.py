"""Architectures and encoders of the two-dimensional networks, by the names that they have in trainers.

One line in :data:`ENCODERS` adds an encoder, one in :data:`ARCHITECTURES` a decoder; a trainer of three lines in
``trainers/slices.py`` makes the pair known to nnU-Net.
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
        name: Its name in segmentation-models-pytorch; timm's have "tu-" before theirs.
        decoder_channels: Channels of the decoder's stages, from the deepest; one for each halving of the encoder.
    """

    name: str
    decoder_channels: tuple[int, ...] = (256, 128, 64, 32, 16)

    @property
    def depth(self) -> int:
        """How often the encoder halves the image."""
        return len(self.decoder_channels)


ARCHITECTURES: dict[str, type[nn.Module]] = {
    "Unet": smp.Unet,
    "UnetPlusPlus": smp.UnetPlusPlus,
}

ENCODERS: dict[str, Encoder] = {
    "ResNet34": Encoder("resnet34"),
    "ResNet50": Encoder("resnet50"),
    "DeepLabV3": Encoder(deeplabv3.NAME, decoder_channels=(256, 128, 64, 32)),
    "MobileNetV3": Encoder("tu-tf_mobilenetv3_large_100"),
}


def find_encoder(encoder: str) -> Encoder:
    """The encoder of this name.

    Raises:
        InputError: There is none in :data:`ENCODERS`.
    """
    return _find(ENCODERS, encoder, "encoder")


def build_slice_network(architecture: str, encoder: str, *, in_channels: int, classes: int) -> nn.Module:
    """Build a network with random weights: slices (batch, channels, rows, columns) to logits of the same size.

    Random always: nnU-Net builds the network anew for each prediction, where weights must not be downloaded.

    Args:
        architecture: A name in :data:`ARCHITECTURES`.
        encoder: A name in :data:`ENCODERS`.
        in_channels: Channels of a slice.
        classes: Number of logits per pixel.

    Raises:
        InputError: There is no such architecture or encoder.
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
    # The memory order in which processors and graphics cards convolve fastest.
    return network.to(memory_format=torch.channels_last)


def stride_of(network: nn.Module) -> int:
    """Rows and columns of a slice must be multiples of this."""
    return int(network.get_submodule("encoder").output_stride)  # type: ignore[arg-type]


def _find(known: Mapping[str, _T], name: str, kind: str) -> _T:
    if name not in known:
        msg = f"There is no {kind} {name!r}; choose one of {', '.join(known)}, or add it in {__name__}."
        raise InputError(msg)
    return known[name]
