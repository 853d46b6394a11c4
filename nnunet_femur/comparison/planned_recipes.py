"""Recipes of trained models as their plans contain them, for trainings without a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnunet_femur.dataset.nnunet_names import PLANS_JSON
from nnunet_femur.errors import InputError
from nnunet_femur.recipe.recipe_checks import RECIPES, recipe_of_configuration
from nnunet_femur.records import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def planned_recipe(folder: Path) -> dict[str, Any]:
    """Return the hyperparameters of a model by this package's trainers, from its plans; empty for other models.

    Args:
        folder: The model's folder, which nnU-Net names ``TRAINER__PLANS__CONFIGURATION``.
    """
    trainer, _, rest = folder.name.partition("__")
    plans = read_json(folder / PLANS_JSON)
    if trainer not in RECIPES or not isinstance(plans, dict):
        return {}
    try:
        recipe = recipe_of_configuration(RECIPES[trainer], resolved(plans, rest.rpartition("__")[2]), trainer)
    except InputError:
        # Plans of another version; the training itself would report it.
        return {}
    return recipe.as_dict()


def resolved(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a configuration of nnU-Net's plans with the values that it inherits; empty if there is none.

    nnU-Net's own look-up imports PyTorch, which this part of the package does without.

    Example:
        >>> plans = {"configurations": {"a": {"batch_size": 2, "patch_size": [8]}, "b": {"inherits_from": "a"}}}
        >>> resolved(plans, "b")["patch_size"]
        [8]
    """
    found: dict[str, Any] = {}
    seen: set[str] = set()
    configurations = plans.get("configurations")
    while isinstance(configurations, dict) and name not in seen and isinstance(configurations.get(name), dict):
        seen.add(name)
        found = {**configurations[name], **found}
        name = str(found.pop("inherits_from", ""))
    return found
