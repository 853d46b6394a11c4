"""Descriptions of the network that a training ended with, from its record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_RULES = {"last": "last epoch", "lowest_loss": "epoch of the lowest training loss"}
"""Rules by which a training keeps a network, as records name them."""

_CANDIDATES = {
    "source": "the weights that were fine-tuned",
    "last": "last epoch",
    "best": "epoch of the best pseudo Dice",
}
"""Candidates of a choice on validation cases, as records name them."""


def final_network(record: Mapping[str, Any]) -> str:
    """Return a phrase about the network that a training ended with; empty if its record does not contain it.

    Args:
        record: Content of ``run.json``.

    Example:
        >>> candidates = [{"name": "source", "mean_dice": 0.94}, {"name": "last", "mean_dice": 0.93}]
        >>> final_network({"choice": {"chosen": "last", "cases": ["L1", "L2"], "candidates": candidates}})
        'last epoch, chosen on 2 validation cases by mean 3D Dice (source 0.9400, last 0.9300)'
        >>> final_network({"final_network": "lowest_loss"})
        'epoch of the lowest training loss'
    """
    choice, recipe = record.get("choice"), record.get("recipe")
    # Records of version 0.1 contain the rule of slice networks in the recipe alone.
    rule = record.get("final_network") or (recipe.get("keep") if isinstance(recipe, dict) else None)
    network = _RULES.get(str(rule), str(rule)) if rule else ""
    if isinstance(choice, dict) and choice.get("chosen"):
        scores = {
            str(one["name"]): one.get("mean_dice") for one in choice.get("candidates", ()) if isinstance(one, dict)
        }
        network = _chosen(_candidate(str(choice["chosen"])), choice, scores)
    planes = record.get("plane_weights")
    if isinstance(planes, dict) and planes.get("chosen"):
        weights = zip(planes.get("planes", ()), planes.get("learned") or (), strict=False)
        learned = ", ".join(f"{plane} {weight:.3g}" for plane, weight in weights)
        used = learned if planes["chosen"] == "learned" and learned else "equal"
        network = f"{network}; weights of the planes: {_chosen(used, planes, planes.get('mean_dice') or {})}"
    return network


def _candidate(name: str) -> str:
    """Return a description of a candidate."""
    if name.startswith("alpha "):
        return f"weights between those that were fine-tuned (alpha 0) and the last (1), at {name}"
    return _CANDIDATES.get(name, name)


def _chosen(what: str, choice: Mapping[str, Any], scores: Mapping[str, Any]) -> str:
    """Return what was chosen, the number of cases and the mean Dice of each candidate, or why nothing was chosen."""
    if choice.get("reason"):
        return f"{what} ({choice['reason']})"
    known = ", ".join(f"{name} {dice:.4f}" for name, dice in scores.items() if isinstance(dice, int | float))
    cases = len(choice.get("cases", ()))
    on = f", chosen on {cases} validation case{'' if cases == 1 else 's'} by mean 3D Dice" if cases else ""
    return f"{what}{on}{f' ({known})' if known else ''}"


def chosen_on_validation(record: Mapping[str, Any]) -> bool:
    """Return True if weights were chosen by their scores of validation cases, which makes these scores optimistic."""
    choices = (record.get("choice"), record.get("plane_weights"))
    return any(isinstance(one, dict) and not one.get("reason") and bool(one.get("cases")) for one in choices)
