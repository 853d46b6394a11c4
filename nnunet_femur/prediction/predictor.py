"""nnU-Net's own predictor with a model's networks in it."""

from __future__ import annotations

import io
import os
import warnings
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.dataset.environment import EXT_TRAINER, variables
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.weights.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    from nnunet_femur.prediction.models import Model

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str = "auto") -> torch.device:
    """The device of this name; "auto" takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        InputError: There is no such device name.
        SetupError: This machine, or its PyTorch, does not have it.
    """
    import torch

    if name not in DEVICES:
        msg = f"There is no device {name!r}; choose one of {', '.join(DEVICES)}."
        raise InputError(msg)
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(each for each, found in there.items() if found))
    if not there[name]:
        msg = f"PyTorch finds no {name} device here. Use --device cpu, or see: nnfemur doctor"
        raise SetupError(msg)
    return torch.device(name)


def load_predictor(
    model: Model, *, device: torch.device, step_size: float = 0.5, mirror: bool = True
) -> nnUNetPredictor:
    """nnU-Net's predictor, ready for :func:`logits_of_folds`.

    Args:
        model: The model, whose checkpoints are loaded for all of its folds.
        device: Where the network runs.
        step_size: Distance of neighbouring windows as a part of the window, above 0 up to 1.
        mirror: Whether the network also sees the mirrored CT, where its trainer allows it.

    Raises:
        InputError: A checkpoint is damaged, holds more than data, or the network works in two stages.
        SetupError: The trainer's class is not installed.
    """
    for checkpoint in model.checkpoints:
        require_harmless(checkpoint)
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        # nnU-Net tells of old plans, which are no fault of the user's.
        warnings.simplefilter("ignore")
        from nnunet_femur.prediction.nnunet_predictor import PrecisePredictor

        predictor = PrecisePredictor(
            tile_step_size=step_size,
            use_mirroring=mirror,
            perform_everything_on_device=device.type == "cuda",
            device=device,
            allow_tqdm=False,
        )
        folds = tuple(fold if fold == "all" else int(fold) for fold in model.folds)
        with _own_trainers():
            try:
                predictor.initialize_from_trained_model_folder(str(model.folder), folds, model.checkpoint)
            except RuntimeError as error:
                msg = f"{model.folder}: its network cannot be built ({str(error).strip()}). {_REMEDY}"
                raise SetupError(msg) from error
    if predictor.configuration_manager.previous_stage_name is not None:
        msg = f"{model.folder}: is the second stage of a cascade, which needs nnUNetv2_predict."
        raise InputError(msg)
    return predictor


_REMEDY = f"Install the package that its trainer comes from, and name its folder in {EXT_TRAINER}."


@contextmanager
def _own_trainers() -> Iterator[None]:
    """Let nnU-Net find this package's trainers, whatever the user's environment says."""
    before = os.environ.get(EXT_TRAINER)
    os.environ[EXT_TRAINER] = variables(Path())[EXT_TRAINER]
    try:
        yield
    finally:
        if before is None:
            del os.environ[EXT_TRAINER]
        else:
            os.environ[EXT_TRAINER] = before


def require_harmless(checkpoint: Path) -> None:
    """Refuse a checkpoint that would run code when nnU-Net loads it, as a pickled file from elsewhere can.

    Raises:
        InputError: It is damaged or holds anything but numbers, names and tensors.
    """
    try:
        load_checkpoint(checkpoint)
    except SetupError as error:
        msg = (
            f"{checkpoint}: was not loaded; it is damaged, or holds more than a network's weights and could run code. "
            "Copy it again, or use a checkpoint that nnU-Net has written."
        )
        raise InputError(msg) from error


def logits_of_folds(
    predictor: nnUNetPredictor,
    data: torch.Tensor,
    *,
    half: bool = False,
    on_window: Callable[[int, int], None] | None = None,
) -> list[torch.Tensor]:
    """Return the logits of each fold's network for a prepared CT, by nnU-Net's sliding window.

    Args:
        predictor: The predictor.
        data: The prepared CT, 1 x the axes of the plans.
        half: Whether the network calculates in half precision where the device has it; else it does in float32.
        on_window: Called after each pass through the network with the number of passes done and of all.

    Returns:
        For each fold classes x the axes of the plans, on the CPU; summed up over windows in float16, as nnU-Net does.

    Raises:
        SetupError: The network does not fit into memory.
    """
    import torch

    from nnunet_femur.networks.precision import bfloat16_context
    from nnunet_femur.prediction.nnunet_predictor import calculating

    total = len(predictor.list_of_parameters) * _passes(predictor, data)
    done = 0

    def count(*passed: Any) -> torch.Tensor:
        nonlocal done
        done += 1
        if on_window is not None:
            on_window(done, total)
        # Windows are weighed and summed up in a precision that is not the network's.
        answer: torch.Tensor = passed[-1]
        return answer.float() if answer.dtype is torch.bfloat16 else answer

    # With nnUNet_compile, what nnU-Net calls is a wrapper around the network.
    network = getattr(predictor.network, "_orig_mod", predictor.network)
    watched = predictor.network.register_forward_hook(count)
    answers = []
    try:
        with torch.inference_mode(), redirect_stdout(io.StringIO()), calculating(predictor, half=half):
            for parameters in predictor.list_of_parameters:
                network.load_state_dict(parameters)
                # For each fold anew: within one context the first fold's weights would be kept in bfloat16.
                with bfloat16_context(predictor.device, half=half):
                    answers.append(predictor.predict_sliding_window_return_logits(data).cpu())
    except torch.OutOfMemoryError as error:
        msg = "The network does not fit into the memory of the device. Use --device cpu, or a GPU with more memory."
        raise SetupError(msg) from error
    finally:
        watched.remove()
    return answers


def _passes(predictor: nnUNetPredictor, data: torch.Tensor) -> int:
    from nnunetv2.inference.sliding_window_prediction import compute_steps_for_sliding_window

    patch = predictor.configuration_manager.patch_size
    shape = data.shape[1:]
    padded = [max(n, p) for n, p in zip(shape[-len(patch) :], patch, strict=True)]
    windows = 1
    for steps in compute_steps_for_sliding_window(padded, patch, predictor.tile_step_size):
        windows *= len(steps)
    if len(patch) < len(shape):
        windows *= shape[0]
    axes = predictor.allowed_mirroring_axes if predictor.use_mirroring else None
    return int(windows * 2 ** len(axes or ()))
