"""Sentences of model cards: the weights that a training started from, and the limits of every model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import SetupError
from nnunet_femur.recipe.trainer_names import TRAINERS
from nnunet_femur.records import sha256
from nnunet_femur.weights.models import find_model

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_KNOWN = "**not known**"
"""Text for a fact that the files of a model do not contain."""

LIMITS = (
    "This model is not a medical device. It is for research; a person must check each mask.",
    "It expects CT in HU. Other modalities, and values that are not HU, are outside of its training.",
    "Metal, fractures, tumours, children's bones and partial fields of view: not known, unless the scores or the "
    "description of the training data cover them.",
    "Performance at other hospitals, scanners and patients than those of the training data: not known.",
)
"""Limits of every model of this package."""

ENDS_ONLY = "The network was trained on the ends of the femur alone. It does not segment whole femurs."
"""Limit of a model that was trained on the ends of the femur."""

_RECIPES_OF_RANDOM_WEIGHTS = {"Recipe"}


def initial_weights(trainer: str, recipe: Mapping[str, Any], source: Mapping[str, Any] | None = None) -> str:
    """Return a sentence about the weights that a training started from, and their licence.

    Args:
        trainer: Class name of the trainer.
        recipe: Its hyperparameters, as recorded.
        source: The plans' entry about the model of TotalSegmentator that was fine-tuned; None for other trainings.

    Example:
        >>> initial_weights("FemurScratchTrainer", {})
        'Random weights, unless the training was started with `-pretrained_weights`; its `run.json` records that.'
        >>> initial_weights("FemurUnetResNet34Trainer", {"encoder_weights": None})
        'Random weights, also of the encoder.'
    """
    if source is not None:
        return _fine_tuned(source)
    kind = TRAINERS[trainer].recipe if trainer in TRAINERS else ""
    if kind in _RECIPES_OF_RANDOM_WEIGHTS:
        return (
            "Random weights, unless the training was started with `-pretrained_weights`; its `run.json` records that."
        )
    weights = recipe.get("encoder_weights", "")
    if weights is None and not kind.startswith("Finetune"):
        return "Random weights, also of the encoder."
    if weights:
        origin = ", trained on ImageNet" if weights == "imagenet" else ""
        return (
            f"Encoder weights `{weights}` of segmentation-models-pytorch or timm{origin}. Licence of "
            f"these weights: {NOT_KNOWN}; see the page of the encoder's weights on the model hub."
        )
    return NOT_KNOWN


def _fine_tuned(source: Mapping[str, Any]) -> str:
    name, checksum = source.get("dataset", "a model of TotalSegmentator"), source.get("checkpoint_sha256")
    if is_dummy_source(source):
        return (
            f"**Dummy weights** in the place of {name}, made from phantoms by nnunet_femur for tests and "
            "demonstrations. They are not TotalSegmentator's. **Never use this model on a patient's CT.**"
        )
    known = f" (SHA-256 of the checkpoint: {checksum})" if checksum else ""
    return (
        f"Fine-tuned from {name}{known}. If these are the weights that TotalSegmentator publishes for its task "
        "`total`, their licence is Apache-2.0. Name TotalSegmentator (Wasserthal et al., Radiology: Artificial "
        "Intelligence 2023) and nnU-Net (Isensee et al., Nature Methods 2021) when you publish results."
    )


def is_dummy_source(source: Mapping[str, Any]) -> bool:
    """Return True if the weights that were fine-tuned are installed here and are dummy weights.

    Args:
        source: The plans' entry about the model that was fine-tuned.
    """
    try:
        model = find_model(fast=bool(source.get("fast")))
        return model.is_dummy and sha256(model.checkpoint) == source.get("checkpoint_sha256")
    except (SetupError, OSError):
        return False
