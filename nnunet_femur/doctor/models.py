"""Weights that trainings start from: whether they are on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.doctor.finding import Finding, Status
from nnunet_femur.errors import FemurError
from nnunet_femur.weights.encoders import encoder_places

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nnunet_femur.doctor.machine import Machine


def totalsegmentator(machine: Machine) -> Iterable[Finding]:  # noqa: ARG001 - it looks for itself
    """TotalSegmentator's models, for fine-tuning and as a baseline."""
    from nnunet_femur.weights.models import find_crop_model, find_model

    try:
        model = find_model()
        find_crop_model()
    except (FemurError, ImportError) as error:
        yield Finding(Status.WARNING, str(error), "nnfemur weights download")
        return
    if model.is_standin:
        message = f"{model.folder}: stand-in weights, which know nothing of patients."
        yield Finding(Status.WARNING, message, "nnfemur weights download")
    else:
        yield Finding(Status.OK, f"TotalSegmentator's models are at {model.folder.parents[1]}.")


def encoders(machine: Machine) -> Iterable[Finding]:
    """ImageNet weights for the encoders of the networks that work in slices."""
    places = encoder_places(machine.environ, Path.home())
    files = [file for place, pattern in places for file in place.glob(pattern)]
    if files:
        yield Finding(Status.OK, f"{len(files)} file(s) of encoder weights are here.")
    else:
        message = "No encoder weights are here: a training of slices fetches them from the model hub, or stops without."
        yield Finding(Status.NOTE, message, "nnfemur weights encoders --download   # without internet: --from-folder")
