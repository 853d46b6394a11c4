"""Parameter groups of nnU-Net's U-Nets, from the segmentation heads backwards, and their learning rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from nnunet_femur.recipe.hyperparameters import FinetuneRecipe

HEAD = "head"
"""Name of the group of the segmentation heads."""


def group_of(name: str) -> str:
    """Return the group of a parameter: "head", "decoder K" (0 is the coarsest stage) or "encoder K" (0 is the finest).

    The stem of nnU-Net's residual encoders works at the finest resolution and belongs to "encoder 0".

    Args:
        name: Name of the parameter, as ``named_parameters()`` gives it.

    Raises:
        InputError: The name does not occur in nnU-Net's U-Nets (code "unsupported").

    Example:
        >>> group_of("encoder.stages.4.0.convs.1.norm.bias")
        'encoder 4'
    """
    parts = name.split(".")
    if "seg_layers" in parts:
        return HEAD
    side = "decoder" if parts[0] == "decoder" and "encoder" not in parts else "encoder"
    after = parts[parts.index(side) + 1 :] if side in parts else []
    if side == "encoder" and after[:1] == ["stem"]:
        return "encoder 0"
    if len(after) > 1 and after[0] in ("stages", "transpconvs") and after[1].isdigit():
        return f"{side} {after[1]}"
    msg = f"{name}: this parameter does not occur in nnU-Net's U-Nets. Plan with one of those networks."
    raise InputError(msg, code="unsupported")


def parameter_groups(network: nn.Module, recipe: FinetuneRecipe) -> list[dict[str, Any]]:
    """Return groups for an optimizer, from the segmentation heads backwards.

    The factor of the learning rate falls with the distance from the heads: body_factor x layer_decay^distance.

    Args:
        network: One of nnU-Net's U-Nets.
        recipe: The recipe.

    Returns:
        Groups with the keys "name", "params" and "factor".
    """
    members: dict[str, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        members.setdefault(group_of(name), []).append(parameter)

    def distance(group: str) -> int:
        """Return the number of groups between a group and the heads."""
        side, number = group.split()
        decoders = sum(name.startswith("decoder") for name in members)
        encoders = sum(name.startswith("encoder") for name in members)
        return decoders - 1 - int(number) if side == "decoder" else decoders + encoders - 1 - int(number)

    body = sorted((name for name in members if name != HEAD), key=distance)
    groups: list[dict[str, Any]] = [{"name": HEAD, "params": members[HEAD], "factor": 1.0}]
    groups += [
        {"name": name, "params": members[name], "factor": recipe.body_factor * recipe.layer_decay ** distance(name)}
        for name in body
    ]
    return groups


class GroupSchedule:
    """Learning rates as a function of epoch and iteration, so that a resumed training equals an uninterrupted one.

    They rise over `ramp_iterations` from the first iteration of the training, and again from the iteration in which the
    body joins the heads. A ramp that is longer than an epoch continues in the next.

    Args:
        optimizer: An optimizer with the groups of :func:`parameter_groups`.
        recipe: The recipe.
        iterations_per_epoch: Number of iterations in an epoch.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, recipe: FinetuneRecipe, *, iterations_per_epoch: int) -> None:
        self.optimizer = optimizer
        self.recipe = recipe
        self.iterations_per_epoch = iterations_per_epoch

    def step(self, epoch: int, iteration: int | None = None) -> None:
        """Set the learning rates of an iteration.

        Args:
            epoch: Number of the epoch, from 0.
            iteration: Number of the iteration in the epoch, from 0. nnU-Net passes None at the start of an epoch.
        """
        recipe = self.recipe
        now = recipe.learning_rate * (1 - epoch / recipe.epochs) ** recipe.decay_exponent
        ramp = 1.0
        if iteration is not None:
            start = recipe.warmup_epochs if epoch >= recipe.warmup_epochs else 0
            done = (epoch - start) * self.iterations_per_epoch + iteration
            ramp = min(1.0, (done + 1) / max(1, recipe.ramp_iterations))
        for group in self.optimizer.param_groups:
            frozen = epoch < recipe.warmup_epochs and group["name"] != HEAD
            group["lr"] = 0.0 if frozen else now * group["factor"] * ramp
