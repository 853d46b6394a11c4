"""Parameters of one of nnU-Net's U-Nets in groups, from the heads backwards, and learning rates for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

    from nnunet_femur.training.finetune_recipe import FinetuneRecipe

HEAD = "head"
"""Name of the group of the segmentation heads."""


def group_of(name: str) -> str:
    """The group of a parameter: "head", "decoder K" (0 is the coarsest stage) or "encoder K" (0 is the finest).

    Args:
        name: As ``named_parameters()`` gives it, which names shared modules once.
    """
    parts = name.split(".")
    if "seg_layers" in parts:
        return HEAD
    if parts[0] == "decoder" and "encoder" not in parts:
        return f"decoder {parts[2]}"
    return f"encoder {parts[parts.index('stages') + 1]}"


def parameter_groups(network: nn.Module, recipe: FinetuneRecipe) -> list[dict[str, Any]]:
    """Groups for an optimizer, the heads first, each with its "name" and the "factor" of its learning rate.

    The further a group is from the heads, the smaller its factor: body_factor x layer_decay^distance.
    """
    members: dict[str, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        members.setdefault(group_of(name), []).append(parameter)

    def distance(group: str) -> int:
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
    """Learning rates as a function of epoch and iteration alone, so a resumed training has those of an undisturbed one.

    Args:
        optimizer: With groups as :func:`parameter_groups` gives them.
        recipe: The recipe.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, recipe: FinetuneRecipe) -> None:
        self.optimizer = optimizer
        self.recipe = recipe

    def step(self, epoch: int, iteration: int | None = None) -> None:
        """Set the learning rates of an iteration; nnU-Net calls this at the beginning of an epoch without one."""
        recipe = self.recipe
        now = recipe.learning_rate * (1 - epoch / recipe.epochs) ** recipe.decay_exponent
        ramp = 1.0
        if iteration is not None and epoch in (0, recipe.warmup_epochs):
            ramp = min(1.0, (iteration + 1) / max(1, recipe.ramp_iterations))
        for group in self.optimizer.param_groups:
            resting = epoch < recipe.warmup_epochs and group["name"] != HEAD
            group["lr"] = 0.0 if resting else now * group["factor"] * ramp
