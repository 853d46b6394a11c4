"""Builds the two-dimensional networks of segmentation-models-pytorch."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import segmentation_models_pytorch as smp

from nnunet_femur.errors import SetupError

if TYPE_CHECKING:
    from torch import nn

STRIDE = 32
"""Rows and columns of a slice must be multiples of this: the encoders halve them five times."""

_ONLINE_WITHIN_S = 3.0


def build_slice_network(architecture: str, encoder: str, *, in_channels: int, classes: int) -> nn.Module:
    """Build a network with random weights.

    Random always: nnU-Net builds the network anew for each prediction, where weights must not be downloaded.

    Args:
        architecture: "Unet", "UnetPlusPlus" or another architecture of segmentation-models-pytorch.
        encoder: Name of an encoder of segmentation-models-pytorch.
        in_channels: Channels of a slice.
        classes: Number of logits per pixel.
    """
    return smp.create_model(architecture, encoder, encoder_weights=None, in_channels=in_channels, classes=classes)


def load_encoder_weights(network: nn.Module, encoder: str, weights: str, *, in_channels: int) -> None:
    """Give the encoder of a network pretrained weights, from the hub's cache or the hub itself.

    A grey image has one channel where the weights expect three; the first layer's filters are summed over red, green
    and blue, which is what a grey image stored in colour would meet.

    Args:
        network: A network of :func:`build_slice_network`.
        encoder: The name that it was built with.
        weights: Name of the weights, such as "imagenet".
        in_channels: Channels of a slice.

    Raises:
        SetupError: There is no such weights' file here and no way to the hub.
    """
    from huggingface_hub import constants

    offline = constants.HF_HUB_OFFLINE
    # Without a connection the hub's client would try for a minute before it looks into its own cache.
    constants.HF_HUB_OFFLINE = offline or not _reachable(constants.ENDPOINT)
    try:
        pretrained = smp.encoders.get_encoder(encoder, in_channels=in_channels, depth=5, weights=weights)
    except OSError as error:
        msg = (
            f"The {weights} weights of {encoder} are not on this machine and the model hub cannot be reached. Run the "
            f"training once where there is internet and copy {constants.HF_HUB_CACHE} here, or train from random "
            'weights: nnfemur plan -d N --no-pretrained (or "encoder_weights": null in the plans\' femur_recipe).'
        )
        raise SetupError(msg) from error
    finally:
        constants.HF_HUB_OFFLINE = offline
    network.get_submodule("encoder").load_state_dict(pretrained.state_dict())


def _reachable(endpoint: str) -> bool:
    address = urlsplit(endpoint)
    try:
        with socket.create_connection((address.hostname or "", address.port or 443), timeout=_ONLINE_WITHIN_S):
            return True
    except OSError:
        return False
