"""Settings of a training: what its trainer reads of a recipe, and the changes after which it continues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARED, OWN = "shared recipe", "recipe"
"""Keys of the settings: the recipe of the plans, for all trainers, and that of the method, in place of its section."""


def settings_read(settings: Mapping[str, Any], trainer: str) -> dict[str, Any]:
    """Return the settings of a training with the values that its trainer reads in place of the whole recipe.

    Args:
        settings: Settings of the job.
        trainer: Class name of the trainer. nnU-Net's own trainers read no recipe.

    Example:
        >>> recipe = {"seed": 0, "slice": {"epochs": 15}, "finetune": {"epochs": 8}}
        >>> settings_read({SHARED: recipe, OWN: {}}, "FemurFinetuneTrainer")
        {'recipe': {'seed': 0, 'epochs': 8}}
    """
    from nnunet_femur.recipe.recipe_checks import merged, recipe_of_trainer

    others = {key: value for key, value in settings.items() if key not in (SHARED, OWN)}
    recipe, own = recipe_of_trainer(trainer), settings.get(OWN, {})
    written = {**settings.get(SHARED, {}), **({trainer: own} if own else {})}
    read = {} if isinstance(recipe, str) else merged(recipe, written, trainer)
    return {**others, OWN: {key: value for key, (value, _) in read.items()}}


def can_continue(earlier: Mapping[str, Any], now: Mapping[str, Any], trainer: str) -> bool:
    """Return True if a training with the earlier settings is the first part of a training with those of now.

    It is if its trainer reads the same of both, or only more epochs at a constant learning rate. A learning rate that
    falls depends on the number of epochs from the first step on. The defaults of a user's trainer are unknown here, so
    both must be written in its recipe.

    Args:
        earlier: Settings of the training that was run.
        now: Settings of the training to run.
        trainer: Class name of the trainer.
    """
    from nnunet_femur.recipe.recipe_checks import AnyRecipe, recipe_of_trainer

    recipe = recipe_of_trainer(trainer)
    first, second = (settings_read(each, trainer) for each in (earlier, now))
    if first == second or isinstance(recipe, str):
        return first == second
    defaults = {} if recipe is AnyRecipe else {name: of.default for name, of in recipe.model_fields.items()}
    lengths = [each[OWN].pop("epochs", defaults.get("epochs")) for each in (first, second)]
    constant = second[OWN].get("schedule", defaults.get("schedule")) == "constant"
    return first == second and constant and None not in lengths and lengths[0] < lengths[1]
