"""See whether models of TotalSegmentator are whole and are what their names say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
"""What describes the network in plans of nnU-Net before 2.4; newer ones have ``architecture`` instead."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a model.

    Attributes:
        dataset: Name of its dataset.
        problem: What is wrong, with the file and what to do.
    """

    dataset: str
    problem: str


def verify(*, fast: bool = False) -> list[Finding]:
    """Check the models that segment the femur and that crop to it: files, plans, classes and checkpoint.

    Args:
        fast: The 3 mm model instead of the 1.5 mm model.

    Returns:
        What is wrong; empty if nothing is.
    """
    return [finding for entry in (femur_entry(fast=fast), crop_entry()) for finding in _findings(entry)]


def _findings(entry: ModelEntry) -> Iterator[Finding]:
    try:
        model = open_model(weights_folder(), entry)
    except SetupError as error:
        yield Finding(entry.dataset, str(error))
        return
    for problem in _plan_problems(model):
        yield Finding(entry.dataset, f"{model.folder / 'plans.json'}: {problem}")
    try:
        checkpoint = load_checkpoint(model.checkpoint)
    except SetupError as error:
        yield Finding(entry.dataset, str(error))
        return
    for problem in _checkpoint_problems(checkpoint, model, entry):
        yield Finding(entry.dataset, f"{model.checkpoint}: {problem}")


def _plan_problems(model: SourceModel) -> Iterator[str]:
    configurations = model.plans.get("configurations", {})
    configuration = configurations.get(model.configuration)
    if configuration is None:
        yield f"has no configuration {model.configuration}."
        return
    lacking = [key for key in OLD_ARCHITECTURE if key not in configuration]
    if "architecture" not in configuration and lacking:
        yield f"does not describe the network; of the old format it lacks {', '.join(lacking)}."
    spacing_mm = configuration.get("spacing", [])
    if not model.is_dummy and any(abs(edge - model.spacing_mm) > 1e-3 for edge in spacing_mm):
        yield f"is for voxels of {spacing_mm} mm, but TotalSegmentator resamples to {model.spacing_mm:g} mm for it."


def _checkpoint_problems(checkpoint: dict[str, Any], model: SourceModel, entry: ModelEntry) -> Iterator[str]:
    for key, value, expected in (
        ("trainer_name", checkpoint.get("trainer_name"), model.trainer),
        ("configuration", checkpoint.get("init_args", {}).get("configuration"), model.configuration),
    ):
        if value != expected:
            yield f"says {key} {value!r}, but its folder says {expected!r}."
    heads = {
        key: tensor.shape[0]
        for key, tensor in checkpoint["network_weights"].items()
        if "seg_layers." in key and key.endswith(".weight")
    }
    if not heads:
        yield "has no segmentation layer (decoder.seg_layers)."
    for key, rows in heads.items():
        if rows != entry.rows:
            yield f"{key} has {rows} rows, but the model has {entry.rows} classes, background included."
