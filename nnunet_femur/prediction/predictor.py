"""nnU-Net's predictor with the networks of a model, and the device that they run on."""

from __future__ import annotations

import inspect
import io
import os
import warnings
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nnunet_femur.arguments import require_one_of
from nnunet_femur.dataset.environment import EXT_TRAINER, variables
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.weights.verification import load_checkpoint

with redirect_stdout(io.StringIO()):
    # nnU-Net prints which of its folders are not set when it is imported; prediction needs none of them.
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.prediction.trained_model import Model

DEVICES = ("auto", "cpu", "cuda", "mps")
"""Names of devices that :func:`choose_device` accepts."""

_REMEDY = f"Install the package of its trainer, and name the trainer's folder in {EXT_TRAINER}."


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name; "auto" takes CUDA, then Apple's MPS, then the CPU.

    Args:
        name: One of :data:`DEVICES`.

    Raises:
        InputError: The name is not one of :data:`DEVICES` (code "invalid-option").
        SetupError: This machine, or its PyTorch, does not have the device (code "no-device").
    """
    require_one_of("device", name, DEVICES)
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(each for each, found in available.items() if found))
    if not available[name]:
        msg = f"PyTorch finds no {name} device on this machine. Use --device cpu, or run: nnfemur doctor"
        raise SetupError(msg, code="no-device")
    return torch.device(name)


def load_predictor(
    model: Model, *, device: torch.device, step_size: float = 0.5, mirror: bool = True
) -> nnUNetPredictor:
    """Return nnU-Net's predictor with all folds of a model loaded.

    Each checkpoint is read once, by a loader that runs no code of the file.

    Args:
        model: The model.
        device: The device that the network runs on.
        step_size: Distance between neighbouring windows as a fraction of the window, above 0 up to 1.
        mirror: True to average over mirrored CTs too, where the trainer allows it.

    Raises:
        InputError: A checkpoint is damaged, contains more than data, or the network works in two stages.
        SetupError: The trainer's class is not installed.
    """
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    with redirect_stdout(io.StringIO()), warnings.catch_warnings(), _own_trainers():
        # nnU-Net warns about the format of older plans, which the user cannot change.
        warnings.simplefilter("ignore")
        plans = PlansManager(model.plans)
        trainer, configuration_name, mirror_axes, weights = _read_checkpoints(model)
        configuration = plans.get_configuration(configuration_name)
        if configuration.previous_stage_name is not None:
            msg = f"{model.folder}: the second stage of a cascade is not supported. Use nnUNetv2_predict."
            raise InputError(msg, code="unsupported")
        predictor = nnUNetPredictor(
            tile_step_size=step_size,
            use_mirroring=mirror,
            perform_everything_on_device=device.type == "cuda",
            device=device,
            allow_tqdm=False,
        )
        try:
            network = _build_network(trainer, plans, configuration, model.dataset)
            network.load_state_dict(weights[0])
        except RuntimeError as error:
            msg = f"{model.folder}: the network cannot be built ({str(error).strip()}). {_REMEDY}"
            raise SetupError(msg, code="not-installed") from error
        predictor.manual_initialization(network, plans, configuration, weights, model.dataset, trainer, mirror_axes)
    return predictor


def _read_checkpoints(model: Model) -> tuple[str, str, tuple[int, ...] | None, list[dict[str, Any]]]:
    """Return trainer, configuration and mirror axes of the first fold, as nnU-Net does, and the weights of all."""
    described, weights = [], []
    for path in model.checkpoints:
        content = _read_checkpoint(path)
        try:
            axes = content.get("inference_allowed_mirroring_axes")
            described.append((content["trainer_name"], content["init_args"]["configuration"], axes))
        except (KeyError, TypeError) as error:
            msg = f"{path}: does not name its trainer and configuration. Use a checkpoint that nnU-Net has written."
            raise InputError(msg, code="invalid-model") from error
        weights.append(content["network_weights"])
    return *described[0], weights


def _read_checkpoint(path: Path) -> dict[str, Any]:
    try:
        return load_checkpoint(path)
    except SetupError as error:
        msg = (
            f"{path}: not loaded; it is damaged, or contains more than a network's weights and could run code. "
            "Copy it again, or use a checkpoint that nnU-Net has written."
        )
        code = error.code if error.code == "unsafe-checkpoint" else "invalid-model"
        raise InputError(msg, code=code) from error


def _build_network(trainer: str, plans: Any, configuration: Any, dataset: dict[str, Any]) -> torch.nn.Module:
    """Build the network by its trainer's class, as nnU-Net does.

    Raises:
        RuntimeError: The class does not exist.
    """
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
    from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels

    build = recursive_find_trainer_class_by_name(trainer).build_network_architecture
    described: tuple[Any, ...] = (plans, configuration)
    if "plans_manager" not in inspect.signature(build).parameters:
        # Trainers written for nnU-Net before 2.7.
        described = (
            configuration.network_arch_class_name,
            configuration.network_arch_init_kwargs,
            configuration.network_arch_init_kwargs_req_import,
        )
    channels_in = determine_num_input_channels(plans, configuration, dataset)
    channels_out = plans.get_label_manager(dataset).num_segmentation_heads
    network: torch.nn.Module = build(*described, channels_in, channels_out, enable_deep_supervision=False)
    return network


@contextmanager
def _own_trainers() -> Iterator[None]:
    """Let nnU-Net find this package's trainers, whatever the user's environment contains."""
    before = os.environ.get(EXT_TRAINER)
    os.environ[EXT_TRAINER] = variables(Path())[EXT_TRAINER]
    try:
        yield
    finally:
        if before is None:
            del os.environ[EXT_TRAINER]
        else:
            os.environ[EXT_TRAINER] = before
