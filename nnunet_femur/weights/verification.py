"""Verify that TotalSegmentator's models are complete and are the models that their names claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnunet_femur.dataset.nnunet_names import PLANS_JSON
from nnunet_femur.errors import SetupError
from nnunet_femur.weights.checkpoint import load_checkpoint
from nnunet_femur.weights.models import crop_entry, femur_entry, open_model, weights_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.weights.models import ModelEntry, SourceModel

OLD_ARCHITECTURE = (
    "UNet_class_name",
    "UNet_base_num_features",
    "n_conv_per_stage_encoder",
    "n_conv_per_stage_decoder",
    "num_pool_per_axis",
    "pool_op_kernel_sizes",
    "conv_kernel_sizes",
    "unet_max_num_features",
)
"""Keys that describe the network in plans of nnU-Net before 2.4; newer plans have ``architecture`` instead."""


@dataclass(frozen=True)
class ModelProblem:
    """A problem of one of TotalSegmentator's models.

    Attributes:
        dataset: Name of the model's dataset.
        problem: The file, the problem and the fix.

    Example:
        >>> [problem.dataset for problem in verify()]
        []
    """

    dataset: str
    problem: str


def verify(*, fast: bool = False) -> list[ModelProblem]:
    """Check the femur's model and the model for the crop: files, plans, classes and checkpoint.

    Args:
        fast: Check the 3 mm model instead of the 1.5 mm model.

    Returns:
        The problems; empty if the models are complete.

    Example:
        >>> verify(fast=True)
        []
    """
    return [problem for entry in (femur_entry(fast=fast), crop_entry()) for problem in _problems(entry)]


def _problems(entry: ModelEntry) -> Iterator[ModelProblem]:
    try:
        model = open_model(weights_folder(), entry)
    except SetupError as error:
        yield ModelProblem(entry.dataset, str(error))
        return
    for problem in _plan_problems(model):
        yield ModelProblem(entry.dataset, f"{model.folder / PLANS_JSON}: {problem}")
    try:
        checkpoint = load_checkpoint(model.checkpoint)
    except SetupError as error:
        yield ModelProblem(entry.dataset, str(error))
        return
    for problem in _checkpoint_problems(checkpoint, model, entry):
        yield ModelProblem(entry.dataset, f"{model.checkpoint}: {problem}")


def _plan_problems(model: SourceModel) -> Iterator[str]:
    configurations = model.plans.get("configurations", {})
    configuration = configurations.get(model.configuration)
    if configuration is None:
        yield f"has no configuration {model.configuration}."
        return
    lacking = [key for key in OLD_ARCHITECTURE if key not in configuration]
    if "architecture" not in configuration and lacking:
        yield f"does not describe the network: neither architecture nor the old keys {', '.join(lacking)}."
    spacing_mm = configuration.get("spacing", [])
    if not model.is_dummy and any(abs(edge - model.spacing_mm) > 1e-3 for edge in spacing_mm):
        yield f"is for voxels of {spacing_mm} mm, but TotalSegmentator resamples to {model.spacing_mm:g} mm for it."


def _checkpoint_problems(checkpoint: dict[str, Any], model: SourceModel, entry: ModelEntry) -> Iterator[str]:
    for key, value, expected in (
        ("trainer_name", checkpoint.get("trainer_name"), model.trainer),
        ("configuration", checkpoint.get("init_args", {}).get("configuration"), model.configuration),
    ):
        if value != expected:
            yield f"{key} must be that of its folder, {expected!r}, got {value!r}."
    heads = {
        key: tensor.shape[0]
        for key, tensor in checkpoint["network_weights"].items()
        if "seg_layers." in key and key.endswith(".weight")
    }
    if not heads:
        yield "has no segmentation layer (decoder.seg_layers)."
    for key, channels in heads.items():
        if channels != entry.channels:
            yield f"{key} has {channels} output channels, but the model has {entry.channels} classes with background."
