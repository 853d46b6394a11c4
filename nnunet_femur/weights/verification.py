"""Load checkpoints without running code that they may contain, and verify TotalSegmentator's models with that."""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from nnunet_femur.dataset.nnunet_names import PLANS_JSON
from nnunet_femur.errors import SetupError
from nnunet_femur.weights.models import crop_entry, femur_entry, open_model, weights_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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

_REMEDY = "Remove its dataset folder and run: nnfemur weights download"

_REFUSED_NAME = re.compile(r"GLOBAL ([\w.]*\w)")
"""Name of the refused function or class in the messages of torch."""


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint, with all tensors on the CPU.

    Besides tensors and plain values, only numpy's scalars are allowed, which nnU-Net's logging puts into checkpoints.
    Nothing else that the file names is imported or called.

    Args:
        path: A file that nnU-Net has written, such as ``checkpoint_final.pth``.

    Returns:
        nnU-Net's keys: ``network_weights``, ``init_args``, ``trainer_name``, ...

    Raises:
        SetupError: The file is missing (code "no-weights"), damaged or not a checkpoint of nnU-Net ("invalid-weights"),
            or contains code ("unsafe-checkpoint").

    Example:
        >>> import torch
        >>> from pathlib import Path
        >>> torch.save({"network_weights": {"layer": torch.zeros(2, 3)}}, "checkpoint_final.pth")
        >>> load_checkpoint(Path("checkpoint_final.pth"))["network_weights"]["layer"].shape
        torch.Size([2, 3])
    """
    import torch

    if not path.is_file():
        msg = f"{path}: checkpoint not found. Run: nnfemur weights download"
        raise SetupError(msg, code="no-weights")
    try:
        with torch.serialization.safe_globals(list(_numpy_scalar_types())):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _unpickling_error(path, str(error)) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError) as error:
        msg = f"{path}: cannot be read; it is truncated or not a checkpoint ({_first_line(error)}). {_REMEDY}"
        raise SetupError(msg, code="invalid-weights") from error
    if not isinstance(content, dict) or not isinstance(content.get("network_weights"), dict):
        msg = f"{path}: contains no network_weights, so it is not a checkpoint of nnU-Net. {_REMEDY}"
        raise SetupError(msg, code="invalid-weights")
    return content


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


@cache
def _numpy_scalar_types() -> tuple[Any, ...]:
    """Return the types that numpy's scalars consist of, under the names of numpy 1 and numpy 2."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    types = ("float16", "float32", "float64", "int32", "int64", "bool")
    return (
        *((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
        np.dtype,
        *(type(np.dtype(name)) for name in types),
    )


def _unpickling_error(path: Path, message: str) -> SetupError:
    found = _REFUSED_NAME.search(message)
    if found is None:
        return SetupError(f"{path}: damaged, or not a checkpoint. {_REMEDY}", code="invalid-weights")
    msg = (
        f"{path}: contains code besides data: it asks for {found[1]}, which no checkpoint of nnU-Net needs. Nothing in "
        "it was run. Do not use this file. Get TotalSegmentator's own: nnfemur weights download"
    )
    return SetupError(msg, code="unsafe-checkpoint")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _problems(entry: ModelEntry) -> Iterator[ModelProblem]:
    """Yield the problems of a model; without its files or its checkpoint, nothing further is checked."""
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
    """Yield differences between a checkpoint, the folder that contains it, and TotalSegmentator's tables."""
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
