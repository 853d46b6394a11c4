"""Presets: sizes of network and training by name, and the recipe that planning writes into the plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_femur.records import read_mapping


@dataclass(frozen=True)
class Preset:
    """A size of network and training.

    Attributes:
        base_features: Features of the first stage of nnU-Net's network.
        largest_patch: Largest edge of a patch in voxels, by number of dimensions (3 or 2); None: nnU-Net chooses patch
            and batch.
        recipe: Hyperparameters that differ from the defaults, by family of trainers.

    Example:
        >>> PRESETS["small"].base_features, PRESETS["small"].recipe["volume"]["epochs"]
        (8, 8)
    """

    base_features: int = 32
    largest_patch: dict[int, int] | None = None
    recipe: dict[str, dict[str, Any]] = field(default_factory=dict)


_SMALL_TRAINING = {
    "epochs": 8,
    "iterations_per_epoch": 20,
    "validation_iterations": 2,
    "optimizer": "Adam",
    "schedule": "poly",
    "loss": "dice_cross_entropy",
    "augment": False,
    "mirror": False,
    "checkpoint_every": 1,
    "seed": 0,
}

PRESETS = {
    "default": Preset(),
    "small": Preset(
        base_features=8,
        largest_patch={3: 48, 2: 128},
        recipe={
            "volume": {**_SMALL_TRAINING, "learning_rate": 5e-3},
            "finetune": {**_SMALL_TRAINING, "warmup_epochs": 1},
            "slice": {
                **_SMALL_TRAINING,
                "learning_rate": 1e-3,
                "batch_size": 8,
                "slice_size": [64, 64],
                "foreground_fraction": 0.7,
                "encoder_weights": None,
            },
        },
    ),
}
"""Presets by name: "default" is the size of nnU-Net and of the study, "small" is for CPUs and demos."""


def recipe_of(
    preset: Preset,
    *,
    epochs: int | None,
    iterations: int | None,
    pretrained: bool,
    changes: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the recipe that goes into the plans: the preset's with the changes that a user asks for.

    Args:
        preset: The size of the training.
        epochs: Epochs of every trainer; None for the preset's.
        iterations: Iterations in an epoch of every trainer; None for the preset's.
        pretrained: Start the encoders of two-dimensional networks from pretrained weights.
        changes: Further hyperparameters: for every trainer that has them, or in a mapping by the name of a family or of
            a trainer.
    """
    from nnunet_femur.recipe.recipe_checks import FAMILIES

    changes = changes or {}
    asked = {"epochs": epochs, "iterations_per_epoch": iterations}
    shared = {key: value for key, value in asked.items() if value is not None}
    shared |= {key: value for key, value in changes.items() if not isinstance(value, Mapping)}
    recipe = {
        family: {
            **preset.recipe.get(family, {}),
            **{key: value for key, value in shared.items() if key in model.model_fields},
        }
        for family, model in FAMILIES.items()
    }
    # Sections of single trainers, which only the recipe of existing plans has.
    recipe |= {
        section: {key: value for key, value in values.items() if key not in shared}
        for section, values in preset.recipe.items()
        if section not in FAMILIES
    }
    if not pretrained:
        recipe["slice"]["encoder_weights"] = None
    for section, values in changes.items():
        if isinstance(values, Mapping):
            recipe[section] = {**recipe.get(section, {}), **values}
    return recipe


def checked_recipe(
    preset: Preset,
    *,
    epochs: int | None,
    iterations: int | None,
    pretrained: bool,
    changes: Mapping[str, Any] | str | Path | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the recipe that goes into the plans, after a check of its names, types and ranges.

    Args:
        preset: The size of the training.
        epochs: As for :func:`recipe_of`.
        iterations: As for :func:`recipe_of`.
        pretrained: As for :func:`recipe_of`.
        changes: As for :func:`recipe_of`, or a YAML or JSON file with them.

    Raises:
        InputError: The file cannot be read, or a hyperparameter is unknown or has an invalid value (code
            "invalid-recipe").
    """
    from nnunet_femur.recipe.recipe_checks import problems_of, raise_if_any

    file = Path(changes) if isinstance(changes, str | Path) else None
    given: Any = changes or {} if file is None else read_mapping(file)
    raise_if_any(problems_of(given), where=str(file or "recipe"))
    recipe = recipe_of(preset, epochs=epochs, iterations=iterations, pretrained=pretrained, changes=given)
    raise_if_any(problems_of(recipe), where="recipe of these plans")
    return recipe
