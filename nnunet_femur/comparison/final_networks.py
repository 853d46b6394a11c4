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
        >>> candidates = [{"name": "source", "mean_dice": 0.9368}, {"name": "alpha 0.25", "mean_dice": 0.9379}]
        >>> final_network({"choice": {"chosen": "alpha 0.25", "cases": ["L1", "L2"], "candidates": candidates}})
        'alpha 0.25, chosen on 2 validation cases by their mean 3D Dice (source 0.9368, alpha 0.25 0.9379)'
        >>> final_network({"final_network": "lowest_loss"})
        'epoch of the lowest training loss'
    """
    choice = record.get("choice")
    if not (isinstance(choice, dict) and choice.get("chosen")):
        rule = record.get("final_network")
        return _RULES.get(str(rule), str(rule)) if rule else ""
    chosen = _CANDIDATES.get(str(choice["chosen"]), str(choice["chosen"]))
    if choice.get("reason"):
        return f"{chosen} ({choice['reason']})"
    scores = ", ".join(
        f"{one['name']} {one['mean_dice']:.4f}"
        for one in choice.get("candidates", ())
        if isinstance(one, dict) and isinstance(one.get("mean_dice"), int | float)
    )
    cases = len(choice.get("cases", ()))
    on = f", chosen on {cases} validation case{'' if cases == 1 else 's'} by their mean 3D Dice" if cases else ""
    return f"{chosen}{on}{f' ({scores})' if scores else ''}"


def chosen_on_validation(record: Mapping[str, Any]) -> bool:
    """Return True if the network was chosen by its scores of validation cases, which makes these scores optimistic."""
    choice = record.get("choice")
    return isinstance(choice, dict) and not choice.get("reason") and bool(choice.get("cases"))
