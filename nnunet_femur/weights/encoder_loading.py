"""Puts pretrained weights into the encoder of a network, and checks files of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import segmentation_models_pytorch as smp
import timm
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from segmentation_models_pytorch.encoders._utils import patch_first_conv

from nnunet_femur.errors import InputError
from nnunet_femur.networks.registry import find_encoder
from nnunet_femur.records import sha256
from nnunet_femur.weights.encoders import TIMM_PREFIX, adopt, all_weights_files, find_weights_file, read_checksums

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


_COLOURS = 3


def load_encoder_weights(network: nn.Module, encoder: str, weights: str, *, in_channels: int) -> None:
    """Give the encoder of a network pretrained weights, from this machine's folder, the hub's cache or the hub.

    A grey image has one channel where the weights expect three; the first layer's filters are summed over red, green
    and blue, which is what a grey image stored in colour would meet.

    Args:
        network: A network of :func:`~nnunet_femur.networks.registry.build_slice_network`.
        encoder: The name that it was built with.
        weights: Name of the weights, such as "imagenet".
        in_channels: Channels of a slice.

    Raises:
        SetupError: There is no such file of weights here and no way to the hub.
        InputError: There are no weights of that name, or the file does not fit the encoder.
    """
    path = find_weights_file(encoder, weights)
    check_weights_file(path, encoder)
    coloured = _with_weights(encoder, path)
    if in_channels != _COLOURS:
        patch_first_conv(coloured, in_channels, pretrained=True)
    network.get_submodule("encoder").load_state_dict(coloured.state_dict())


def check_weights_file(path: Path, encoder: str) -> None:
    """Check a file of weights against its noted checksum and against what the encoder needs of it.

    Raises:
        InputError: The file is missing, damaged, altered or of another network.
    """
    mend = "Remove it and run: nnfemur weights encoders --download (or --from-folder FOLDER)"
    if not path.is_file():
        msg = f"{path}: missing. Run: nnfemur weights encoders --download (or --from-folder FOLDER)"
        raise InputError(msg)
    noted = read_checksums(path.parent).get(path.name)
    if noted is not None and noted != sha256(path):
        msg = f"{path}: its checksum is not the one that was noted when it was downloaded. {mend}"
        raise InputError(msg)
    try:
        with safe_open(path, framework="pt") as file:
            found = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 - no mapping
    except SafetensorError as error:
        msg = f"{path}: is no file of weights ({error}). {mend}"
        raise InputError(msg) from error
    wrong = [key for key, shape in _needed(encoder).items() if found.get(key) != shape]
    if wrong:
        msg = f"{path}: does not fit the encoder {encoder}: {len(wrong)} tensors differ, {wrong[0]} first. {mend}"
        raise InputError(msg)


def adopt_folder(source: Path, target: Path) -> list[Path]:
    """Check the files of weights in a folder, such as a copy of another machine's, and copy them to this machine's.

    Args:
        source: The folder; it need not hold the files of all encoders.
        target: The folder of this machine, made if missing.

    Returns:
        The files, in their new place.

    Raises:
        InputError: There is no file of weights in the folder, or one is damaged.
        SetupError: The target cannot be written.
    """
    files = [(source / file.name, used_by[0]) for file, used_by in all_weights_files().items()]
    here = [(path, encoder) for path, encoder in files if path.is_file()]
    if not here:
        names = ", ".join(path.name for path, _ in files)
        msg = f"{source}: holds none of {names}. Fill it where there is internet: nnfemur weights encoders --download"
        raise InputError(msg)
    for path, encoder in here:
        check_weights_file(path, encoder)
    for path, _ in here:
        adopt(path, target / path.name)
    return [target / path.name for path, _ in here]


def _needed(encoder: str) -> dict[str, tuple[int, ...]]:
    """The tensors that a file of weights must hold, and their shapes."""
    name = find_encoder(encoder).name
    with torch.device("meta"):
        if name.startswith(TIMM_PREFIX):
            source = timm.create_model(name.removeprefix(TIMM_PREFIX))
        else:
            source = smp.encoders.get_encoder(name, depth=find_encoder(encoder).depth)
    own = {key: tuple(value.shape) for key, value in source.state_dict().items()}
    # Files may lack the counters of batch normalisation, and those of ResNet50 lack DeepLabV3's pyramid.
    return {key: shape for key, shape in own.items() if not key.endswith("num_batches_tracked") and "aspp" not in key}


def _with_weights(encoder: str, path: Path) -> nn.Module:
    """The encoder for coloured images, with the weights of a file."""
    settings = find_encoder(encoder)
    if settings.name.startswith(TIMM_PREFIX):
        # timm knows how to bring the weights of a classifier into an encoder, given the file.
        return smp.encoders.get_encoder(
            settings.name, depth=settings.depth, weights=True, pretrained_cfg_overlay={"file": str(path)}
        )
    coloured = smp.encoders.get_encoder(settings.name, depth=settings.depth, weights=None)
    coloured.load_state_dict(load_file(path))
    return coloured
