"""Choice of backend and precision by the options, the device and what is installed."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Literal

import torch

from nnunet_femur.arguments import require_one_of
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.networks.precision import (
    Precision,
    calculates_in_bfloat16,
    is_held_to_float32,
    openvino_precisions,
)
from nnunet_femur.networks.three_planes import ThreePlaneNetwork
from nnunet_femur.prediction.backends.backend import TOO_LARGE
from nnunet_femur.prediction.backends.openvino_backend import (
    NotConvertibleError,
    OpenVinoBackend,
    part_to_convert,
)
from nnunet_femur.prediction.backends.torch_backend import TorchBackend
from nnunet_femur.prediction.prediction_options import BACKENDS, PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    from nnunet_femur.prediction.backends.backend import Backend, Parameters

Requested = Literal["auto", "half", "float32", "float16", "bfloat16"]
"""Precision of the options; "half" is `--half`."""

LARGE_FLOP = 1e11
"""Floating-point operations of a CT from which on "auto" converts a network. Below, PyTorch computes a CT in about the
time of a conversion."""

_WINDOWS = {3: 10, 2: 100}
"""Number of windows of a typical CT, by the number of their axes."""


def backend_of(predictor: nnUNetPredictor, *, backend: str, precision: str, half: bool) -> Backend:
    """Return the backend that computes the networks of a predictor of nnU-Net.

    Args:
        predictor: The predictor with the weights of all folds.
        backend: Name of the backend, see :func:`make_backend`.
        precision: Name of the precision, likewise.
        half: True to prefer bfloat16 to float32, likewise.

    Raises:
        SetupError: The network does not fit into the memory of the device (code "no-device").
    """
    from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels

    configuration = predictor.configuration_manager
    try:
        network = predictor.network.to(predictor.device).eval()
    except torch.OutOfMemoryError as error:
        raise SetupError(TOO_LARGE, code="no-device") from error
    return make_backend(
        network,
        predictor.list_of_parameters,
        patch_size=configuration.patch_size,
        channels_in=determine_num_input_channels(predictor.plans_manager, configuration, predictor.dataset_json),
        device=predictor.device,
        backend=backend,
        precision=precision,
        half=half,
    )


def make_backend(
    network: torch.nn.Module,
    folds: Sequence[Parameters],
    *,
    patch_size: Sequence[int],
    channels_in: int = 1,
    device: torch.device,
    backend: str = "auto",
    precision: str = "auto",
    half: bool = False,
) -> Backend:
    """Return the backend that computes the networks of a model.

    Args:
        network: The network, on the device and in evaluation mode.
        folds: Weights of each fold.
        patch_size: Size of a window along its axes.
        channels_in: Number of input channels.
        device: Device of the network.
        backend: "auto", "torch" or "openvino". "auto" is OpenVINO on processors where it is installed, the network is
            large and can be converted; else PyTorch.
        precision: "auto", "float32", "float16" or "bfloat16". "auto" is float16 where the hardware computes fast in it:
            on CUDA devices, and with OpenVINO on processors with instructions for it; else float32. Networks that are
            held to float32 compute in nothing else.
        half: With precision "auto", True to prefer bfloat16 to float32 on processors with instructions for it.

    Returns:
        The backend, with the weights of the first fold.

    Raises:
        InputError: A name is not allowed (code "invalid-option").
        SetupError: The backend that was asked for is not installed (code "not-installed"), or does not work on this
            device, in this precision or with this network (code "unsupported").

    Example:
        >>> import torch
        >>> network = torch.nn.Conv3d(1, 2, 3, padding=1).eval()
        >>> weights = [network.state_dict()]
        >>> made = make_backend(network, weights, patch_size=(16, 16, 16), device=torch.device("cpu"))
        >>> made.name, made.precision
        ('torch', 'float32')
    """
    require_one_of("backend", backend, BACKENDS)
    require_one_of("precision", precision, PRECISIONS)
    asked: Requested = "half" if half and precision == "auto" else precision  # type: ignore[assignment]
    if backend == "openvino" and device.type != "cpu":
        msg = f"backend openvino computes on the processor, not on {device.type}. Use --device cpu or --backend torch."
        raise InputError(msg, code="invalid-option")
    bare = getattr(network, "_orig_mod", network)
    notes = []
    if asked != "float32" and is_held_to_float32(bare):
        if asked not in ("auto", "half"):
            notes.append(f'The model computes in float32 and not in {asked}, since its recipe has "half": false.')
        asked = "float32"
    if backend == "openvino" or (
        backend == "auto" and device.type == "cpu" and _is_large(bare, patch_size, channels_in)
    ):
        try:
            converted = _with_openvino(bare, folds, patch_size, channels_in, asked)
        except SetupError as error:
            if backend == "openvino":
                raise
            if error.code == "unsupported":
                notes.append(f"{error} PyTorch computes it.")
        else:
            converted.notes.extend(notes)
            return converted
    made = TorchBackend(network, device, patch_size=tuple(patch_size), precision=torch_precision(asked, device))
    made.load(folds[0])
    made.notes.extend(notes)
    return made


def _with_openvino(
    network: torch.nn.Module,
    folds: Sequence[Parameters],
    patch_size: Sequence[int],
    channels_in: int,
    asked: Requested,
) -> OpenVinoBackend:
    available = openvino_precisions()
    if not available:
        msg = "OpenVINO is not installed. Run: pip install openvino"
        raise SetupError(msg, code="not-installed")
    precision = openvino_precision(asked, available)
    if precision is None:
        msg = f"OpenVINO is not fast in {asked} on this processor."
        raise SetupError(msg, code="unsupported")
    try:
        return OpenVinoBackend(network, folds, patch_size=patch_size, channels_in=channels_in, precision=precision)
    except NotConvertibleError as error:
        msg = f"OpenVINO does not compute this network ({error})."
        raise SetupError(msg, code="unsupported") from error


def openvino_precision(asked: Requested, available: Sequence[Precision]) -> Precision | None:
    """Return the precision of OpenVINO for a request; None if the processor does not have it.

    Args:
        asked: The request.
        available: Precisions that the processor has instructions for.

    Example:
        >>> openvino_precision("auto", ("float32", "bfloat16")), openvino_precision("half", ("float32", "bfloat16"))
        ('float32', 'bfloat16')
    """
    orders: dict[str, tuple[Precision, ...]] = {
        "auto": ("float16", "float32"),
        "half": ("float16", "bfloat16", "float32"),
    }
    wanted: Sequence[Precision] = orders.get(asked) or (asked,)  # type: ignore[assignment]
    return next((each for each in wanted if each in available), None)


def torch_precision(asked: Requested, device: torch.device) -> Precision:
    """Return the precision of PyTorch for a request on a device.

    Args:
        asked: The request.
        device: The device.

    Raises:
        SetupError: The device is Apple's, and the request is a reduced precision (code "unsupported").

    Example:
        >>> torch_precision("auto", torch.device("cuda")), torch_precision("auto", torch.device("cpu"))
        ('float16', 'float32')
    """
    if asked == "auto":
        return "float16" if device.type == "cuda" else "float32"
    if asked == "half":
        if device.type == "cuda":
            return "float16"
        return "bfloat16" if device.type == "cpu" and calculates_in_bfloat16() else "float32"
    if device.type not in ("cpu", "cuda") and asked != "float32":
        msg = f"precision {asked} is not supported on {device.type}. Use --precision auto."
        raise SetupError(msg, code="unsupported")
    return asked


def _is_large(network: torch.nn.Module, patch_size: Sequence[int], channels_in: int) -> bool:
    """Return True if a typical CT takes at least :data:`LARGE_FLOP` operations."""
    from torch.utils.flop_counter import FlopCounterMode

    inner, shape = part_to_convert(network, patch_size, channels_in)
    counter = FlopCounterMode(display=False)
    try:
        # Tensors without content: shapes are computed, values are not.
        with torch.no_grad(), counter:
            copy.deepcopy(inner).to("meta")(torch.empty(shape, device="meta"))
    except (RuntimeError, ValueError):
        return False
    flop = counter.get_total_flops()
    if isinstance(network, ThreePlaneNetwork) and len(patch_size) == 3:
        # A window is as large as a CT, and each of its voxels is a pixel of one slice in every plane.
        return flop / math.prod(shape[2:]) * math.prod(patch_size) * len(network.axes) >= LARGE_FLOP
    return flop * _WINDOWS[len(patch_size)] >= LARGE_FLOP
