"""Check and load the weights of TotalSegmentator's network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import SetupError
from nnunet_femur.records import sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import nn

    from nnunet_femur.weights import SourceModel


def check_source(source: SourceModel, expected: Mapping[str, Any], *, plan: str) -> None:
    """Refuse another model than the one that the plans were made for.

    Args:
        source: The model that was found.
        expected: The entry of the plans about their model.
        plan: The command that makes plans for the model that was found.

    Raises:
        SetupError: It is another model, or has other weights (code "inconsistent").
    """
    if source.folder.name != expected["model"] or source.dataset != expected["dataset"]:
        problem = f"is {source.dataset}, but the plans were made for {expected['dataset']}"
    elif sha256(source.checkpoint) != expected["checkpoint_sha256"]:
        problem = "differs from the weights that the plans were made for"
    else:
        return
    msg = f"{source.checkpoint}: {problem}. Restore those weights, or run: {plan}"
    raise SetupError(msg, code="inconsistent")


def load_source(network: nn.Module, weights: Mapping[str, torch.Tensor], *, heads: bool) -> None:
    """Copy the source's weights into a network.

    Args:
        network: The network, its heads merged (see :mod:`nnunet_femur.networks.merged_heads`) or new.
        weights: The source's tensors by name.
        heads: True to copy the segmentation heads too.

    Raises:
        SetupError: Tensors do not match; the message has a line for each (code "invalid-weights").
    """
    network.load_state_dict(renamed_source(network, weights, heads=heads), strict=False)


def renamed_source(
    network: nn.Module, weights: Mapping[str, torch.Tensor], *, heads: bool = True
) -> dict[str, torch.Tensor]:
    """Return the source's tensors by the names that they have in a network.

    Args:
        network: The network, its heads merged or new.
        weights: The source's tensors by name.
        heads: True for the segmentation heads too.

    Raises:
        SetupError: Tensors do not match; the message has a line for each (code "invalid-weights").
    """
    from nnunet_femur.consistency import FINGERPRINT_KEY
    from nnunet_femur.networks.merged_heads import source_key

    wanted = {name: tensor for name, tensor in network.state_dict().items() if name != FINGERPRINT_KEY}
    if not heads:
        wanted = {name: tensor for name, tensor in wanted.items() if ".seg_layers." not in name}
        weights = {name: tensor for name, tensor in weights.items() if ".seg_layers." not in name}
    require_fit(
        weights,
        {source_key(name): tensor for name, tensor in wanted.items()},
        problem="The source's weights do not fit the network of the plans.",
        remedy="Run nnfemur plan again.",
    )
    return {name: weights[source_key(name)] for name in wanted}


def require_fit(
    weights: Mapping[str, torch.Tensor], network: Mapping[str, torch.Tensor], *, problem: str, remedy: str
) -> None:
    """Refuse a checkpoint that does not fit a network.

    Args:
        weights: The checkpoint's tensors by name.
        network: The network's tensors by name.
        problem: First line of the message.
        remedy: Last line of the message.

    Raises:
        SetupError: Tensors do not match; the message has a line for each (code "invalid-weights").
    """
    lines = [f"  {misfit}" for misfit in misfits(weights, network)]
    if lines:
        raise SetupError("\n".join([problem, *lines, remedy]), code="invalid-weights")


def misfits(weights: Mapping[str, torch.Tensor], network: Mapping[str, torch.Tensor]) -> list[str]:
    """Return the tensors of a checkpoint and a network that do not match, one line each.

    Args:
        weights: The checkpoint's tensors by name.
        network: The network's tensors by name.

    Returns:
        Lines that start with the tensor's place in the network, as in "encoder, stage 1, convolution 2, weight".
    """
    problems = []
    for name, tensor in network.items():
        if not _named_once(name):
            continue
        if name not in weights:
            problems.append(f"{describe_tensor(name)}: missing in the weights ({name})")
        elif weights[name].shape != tensor.shape:
            problems.append(
                f"{describe_tensor(name)}: the network expects {_shape(tensor)}, "
                f"the weights have {_shape(weights[name])} ({name})"
            )
    problems += [
        f"{describe_tensor(name)}: missing in the network ({name})"
        for name in weights
        if name not in network and _named_once(name)
    ]
    return problems


_NUMBERED = {
    "stages": "stage",
    "blocks": "block",
    "transpconvs": "upsampling",
    "seg_layers": "segmentation head",
    "convs": "convolution",
}

_PLAIN = {
    "encoder": "encoder",
    "decoder": "decoder",
    "stem": "stem",
    "skip": "skip connection",
    "norm": "normalisation",
}


def describe_tensor(name: str) -> str:
    """Return the place of a tensor in nnU-Net's U-Nets, counted from 1.

    Example:
        >>> describe_tensor("encoder.stages.1.0.convs.0.conv.weight")
        'encoder, stage 2, convolution 1, weight'
    """
    words: list[str] = []
    parts = name.split(".")
    for part, following in zip(parts, [*parts[1:], ""], strict=True):
        if part in _NUMBERED:
            number = str(int(following) + 1) if following.isdigit() else ""
            words.append(f"{_NUMBERED[part]} {number}")
        elif part in _PLAIN:
            words.append(_PLAIN[part])
        elif part.startswith("conv") and part[4:].isdigit():
            # Blocks of residual encoders number their convolutions in the name.
            words.append(f"convolution {part[4:]}")
    words.append(parts[-1])
    return ", ".join(words)


def _named_once(name: str) -> bool:
    """Return True for the first name of a tensor; nnU-Net's modules register most tensors two to four times."""
    return ".all_modules." not in name and not name.startswith("decoder.encoder.")


def _shape(tensor: torch.Tensor) -> str:
    return " x ".join(str(n) for n in tensor.shape) or "one number"
