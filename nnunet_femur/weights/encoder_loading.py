"""Load pretrained weights into the encoder of a network, and check files of weights."""

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
    """Load pretrained weights into the encoder of a network, from this machine's folder, the hub's cache or the hub.

    The weights expect three channels, but a grey image has one. The filters of the first layer are summed over red,
    green and blue, so that its output equals that for a grey image stored in colour.

    Args:
        network: A network of :func:`~nnunet_femur.networks.registry.build_slice_network`.
        encoder: The name of the encoder that it was built with.
        weights: Name of the weights, such as "imagenet".
        in_channels: Channels of a slice.

    Raises:
        SetupError: The file of weights is not on this machine, and the hub cannot be reached (code "no-weights").
        InputError: The encoder has no such weights (code "invalid-option"), or the file does not fit it
            ("invalid-weights").
    """
    path = find_weights_file(encoder, weights)
    check_weights_file(path, encoder)
    coloured = _with_weights(encoder, path)
    if in_channels != _COLOURS:
        patch_first_conv(coloured, in_channels, pretrained=True)
    network.get_submodule("encoder").load_state_dict(coloured.state_dict())


def check_weights_file(path: Path, encoder: str) -> None:
    """Check a file of weights against its recorded checksum and against the tensors of an encoder.

    Args:
        path: The file.
        encoder: A name in :data:`~nnunet_femur.networks.registry.ENCODERS`.

    Raises:
        InputError: The file is missing (code "no-weights"), or damaged, changed or of another network
            ("invalid-weights").
    """
    remedy = "Remove it and run: nnfemur weights encoders --download (or --from-folder FOLDER)"
    if not path.is_file():
        msg = f"{path}: not found. Run: nnfemur weights encoders --download (or --from-folder FOLDER)"
        raise InputError(msg, code="no-weights")
    recorded = read_checksums(path.parent).get(path.name)
    if recorded is not None and recorded != sha256(path):
        msg = f"{path}: its checksum differs from the one that was recorded at the download. {remedy}"
        raise InputError(msg, code="invalid-weights")
    try:
        with safe_open(path, framework="pt") as file:
            found = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 - no mapping
    except SafetensorError as error:
        msg = f"{path}: damaged, or not a file of weights ({error}). {remedy}"
        raise InputError(msg, code="invalid-weights") from error
    wrong = [key for key, shape in _needed(encoder).items() if found.get(key) != shape]
    if wrong:
        msg = f"{path}: does not fit the encoder {encoder}: {len(wrong)} tensors differ, {wrong[0]} first. {remedy}"
        raise InputError(msg, code="invalid-weights")


def adopt_folder(source: Path, target: Path) -> list[Path]:
    """Check the files of weights in a folder, such as a copy from another machine, and copy them to this machine's.

    Args:
        source: The folder; it need not contain the files of all encoders.
        target: The folder of this machine; made if missing.

    Returns:
        The copied files.

    Raises:
        InputError: The folder contains no file of weights (code "no-weights"), or a damaged one ("invalid-weights").
        SetupError: The target cannot be written (code "cannot-write").
    """
    files = [(source / file.name, used_by[0]) for file, used_by in all_weights_files().items()]
    here = [(path, encoder) for path, encoder in files if path.is_file()]
    if not here:
        names = ", ".join(path.name for path, _ in files)
        msg = f"{source}: contains none of {names}. Run on a machine with internet: nnfemur weights encoders --download"
        raise InputError(msg, code="no-weights")
    for path, encoder in here:
        check_weights_file(path, encoder)
    for path, _ in here:
        adopt(path, target / path.name)
    return [target / path.name for path, _ in here]


def _needed(encoder: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors that a file of weights must contain, by name."""
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
    """Return the encoder for images with three channels, with the weights of a file."""
    settings = find_encoder(encoder)
    if settings.name.startswith(TIMM_PREFIX):
        # timm loads the weights of a classifier into an encoder itself, given the file.
        return smp.encoders.get_encoder(
            settings.name, depth=settings.depth, weights=True, pretrained_cfg_overlay={"file": str(path)}
        )
    coloured = smp.encoders.get_encoder(settings.name, depth=settings.depth, weights=None)
    coloured.load_state_dict(load_file(path))
    return coloured
