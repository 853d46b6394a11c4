"""Sizes of network and training, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """A size of network and training.

    Attributes:
        base_features: Features of the first stage of nnU-Net's network.
        largest_patch: Largest edge of a patch in voxels, for 3D and for 2D configurations; None for nnU-Net's choice
            of patch and batch.
        recipe: What differs from the defaults of :class:`~nnunet_femur.recipe.hyperparameters.Recipe`, by family.
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
"""Sizes by name: "default" is nnU-Net's and the study's, "small" is for CPUs and demos."""


def recipe_of(
    preset: Preset,
    *,
    epochs: int | None,
    iterations: int | None,
    pretrained: bool,
    changes: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, Any]]:
    """The recipe that goes into the plans: the preset's, changed by what was asked for.

    Args:
        preset: The size of the training.
        epochs: Epochs of every trainer; None for the preset's.
        iterations: Iterations in an epoch of every trainer; None for the preset's.
        pretrained: Whether the encoders of 2D networks start from pretrained weights.
        changes: Further hyper-parameters: for every trainer that has them, or in a mapping by name of a family or of
            a trainer.
    """
    from nnunet_femur.recipe.recipe_checks import FAMILIES

    changes = changes or {}
    asked = {"epochs": epochs, "iterations_per_epoch": iterations}
    given = {key: value for key, value in asked.items() if value is not None}
    given |= {key: value for key, value in changes.items() if not isinstance(value, Mapping)}
    recipe = {
        family: {
            **preset.recipe.get(family, {}),
            **{key: value for key, value in given.items() if key in its.model_fields},
        }
        for family, its in FAMILIES.items()
    }
    if not pretrained:
        recipe["slice"]["encoder_weights"] = None
    for whose, own in changes.items():
        if isinstance(own, Mapping):
            recipe[whose] = {**recipe.get(whose, {}), **own}
    return recipe
