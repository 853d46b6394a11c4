"""Weights of TotalSegmentator's network, checked in words and loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import SetupError
from nnunet_femur.records import sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import nn

    from nnunet_femur.weights import SourceModel


def misfits(weights: Mapping[str, torch.Tensor], network: Mapping[str, torch.Tensor]) -> list[str]:
    """What of a checkpoint does not fit a network, one sentence a tensor.

    Args:
        weights: The checkpoint's tensors by name.
        network: The network's tensors by name.
    """
    problems = []
    for name, tensor in network.items():
        if not _named_once(name):
            continue
        if name not in weights:
            problems.append(f"{in_words(name)}: the network has it, the weights do not ({name})")
        elif weights[name].shape != tensor.shape:
            problems.append(
                f"{in_words(name)}: the network expects {_shape(tensor)}, "
                f"the weights have {_shape(weights[name])} ({name})"
            )
    problems += [
        f"{in_words(name)}: the weights have it, the network does not ({name})"
        for name in weights
        if name not in network and _named_once(name)
    ]
    return problems


def require_fit(
    weights: Mapping[str, torch.Tensor], network: Mapping[str, torch.Tensor], *, problem: str, remedy: str
) -> None:
    """Refuse a checkpoint that does not fit a network.

    Raises:
        SetupError: The problem, a line for each tensor that does not fit, and the remedy.
    """
    lines = [f"  {misfit}" for misfit in misfits(weights, network)]
    if lines:
        raise SetupError("\n".join([problem, *lines, remedy]))


def _named_once(name: str) -> bool:
    """Whether this is the first name of a tensor: nnU-Net's modules register most of theirs two to four times."""
    return ".all_modules." not in name and not name.startswith("decoder.encoder.")


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


def in_words(name: str) -> str:
    """Place of a tensor in nnU-Net's U-Nets, as in "encoder, stage 2, convolution 1, weight"."""
    words: list[str] = []
    parts = name.split(".")
    for part, following in zip(parts, [*parts[1:], ""], strict=True):
        if part in _NUMBERED:
            number = str(int(following) + 1) if following.isdigit() else ""
            words.append(f"{_NUMBERED[part]} {number}")
        elif part in _PLAIN:
            words.append(_PLAIN[part])
        elif part.startswith("conv") and part[4:].isdigit():
            # Blocks of residual encoders number theirs in the name.
            words.append(f"convolution {part[4:]}")
    words.append(parts[-1])
    return ", ".join(words)


def check_source(source: SourceModel, expected: Mapping[str, Any], *, plan: str) -> None:
    """Refuse another model than the one that the plans were made for.

    Args:
        source: The model that was found.
        expected: What the plans say about it.
        plan: The command that makes plans for the model that was found.

    Raises:
        SetupError: It is another model, or other weights of it.
    """
    if source.folder.name != expected["model"] or source.dataset != expected["dataset"]:
        problem = f"is {source.dataset}, but the plans were made for {expected['dataset']}"
    elif sha256(source.checkpoint) != expected["checkpoint_sha256"]:
        problem = "holds other weights than those that the plans were made for"
    else:
        return
    msg = f"{source.checkpoint}: {problem}. Bring those weights back, or run: {plan}"
    raise SetupError(msg)


def load_source(network: nn.Module, weights: Mapping[str, torch.Tensor], *, heads: bool) -> None:
    """Copy the source's weights into a network.

    Args:
        network: The network, its heads merged (see :mod:`nnunet_femur.networks.merged_heads`) or new.
        weights: The source's tensors by name.
        heads: Whether the segmentation heads are copied too.

    Raises:
        SetupError: A tensor does not fit, with one line for each.
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
    network.load_state_dict({name: weights[source_key(name)] for name in wanted}, strict=False)


def _shape(tensor: torch.Tensor) -> str:
    return " x ".join(str(n) for n in tensor.shape) or "one number"
