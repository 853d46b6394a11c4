"""OpenVINO as a backend: several times as fast as PyTorch on processors."""

from __future__ import annotations

import copy
import math
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch

from nnunet_femur.networks.three_planes import SLICE_PIXELS, ThreePlaneNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nnunet_femur.networks.precision import Precision
    from nnunet_femur.prediction.backends.backend import Parameters

_PIXELS_AT_ONCE = 8 * 256**2
"""Pixels of the two-dimensional windows that are computed at once."""

_HINTS = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}

_TOLERANCE = {"float32": 0.02, "float16": 0.1, "bfloat16": 0.5}
"""Largest difference of a logit from PyTorch's, in standard deviations of the logits, at which a conversion is right.

For TotalSegmentator's topology, the differences were 0.002, 0.01 and 0.08.
"""


class NotConvertibleError(Exception):
    """A network that OpenVINO does not compute, or not as PyTorch does."""


class ConvertedNetwork(torch.nn.Module):
    """A network that OpenVINO computes on the processor, for windows of any shape.

    Weights are copied: later changes of the network have no effect. A conversion takes about two seconds for a network
    of 30 million parameters, most of them for a pass of the example through PyTorch.

    Args:
        network: A network without control flow that depends on its input, in evaluation mode on the CPU.
        example: Random numbers of any shape that the network accepts; a small one is converted faster.
        precision: Precision to compute in. Without instructions for it, OpenVINO computes in float32.

    Raises:
        NotConvertibleError: The conversion failed, or its logits for `example` differ from PyTorch's.

    Example:
        >>> network = torch.nn.Conv2d(1, 2, 3, padding=1).eval()
        >>> converted = ConvertedNetwork(network, torch.randn(1, 1, 8, 8))
        >>> slices = torch.randn(3, 1, 16, 24)
        >>> converted(slices).shape, torch.allclose(converted(slices), network(slices), atol=1e-3)
        (torch.Size([3, 2, 16, 24]), True)
    """

    def __init__(self, network: torch.nn.Module, example: torch.Tensor, *, precision: Precision = "float32") -> None:
        super().__init__()
        self.precision = precision
        with torch.no_grad():
            expected = network(example)
        self.channels = expected.shape[1]
        try:
            with torch.no_grad(), warnings.catch_warnings():
                # PyTorch advises against tracing. Its torch.export would fix the shape of windows.
                warnings.simplefilter("ignore")
                # Other values than those that are compared, so that a flow of control that depends on them is found.
                given = torch.zeros_like(example)
                traced = torch.jit.trace(_with_centred_norms(network), given, check_trace=False, strict=False)
                self._request = _compiled(traced, precision).create_infer_request()
            found = self(example)
        # The libraries raise errors of many classes, and none of them ends a prediction.
        except Exception as error:
            msg = f"{type(error).__name__}: {_last_line(error)}"
            raise NotConvertibleError(msg) from error
        if expected.shape[2:] != example.shape[2:]:
            msg = f"its output {tuple(expected.shape)} is not of the shape of its input {tuple(example.shape)}"
            raise NotConvertibleError(msg)
        difference = float((found - expected).abs().max()) / max(float(expected.std()), 1e-3)
        if not difference <= _TOLERANCE[precision]:
            msg = f"its logits in {precision} differ from PyTorch's by {difference:.2g} standard deviations"
            raise NotConvertibleError(msg)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the network's output, float32, for an input of shape (batch, channels, *axes) on the CPU."""
        import openvino

        given = x.detach().to(torch.float32).contiguous()
        # A new tensor for every call: OpenVINO's own is overwritten by the next one.
        logits = torch.empty(len(given), self.channels, *given.shape[2:])
        self._request.set_input_tensor(openvino.Tensor(given.numpy(), shared_memory=True))
        self._request.set_output_tensor(openvino.Tensor(logits.numpy(), shared_memory=True))
        self._request.infer()
        return logits


class OpenVinoBackend:
    """The networks of a model, converted for OpenVINO; networks of slices with their planes.

    Args:
        network: The network, in evaluation mode on the CPU. It has the weights of the last fold afterwards.
        folds: Weights of each fold.
        patch_size: Size of a window along its axes.
        channels_in: Number of input channels.
        precision: Precision to compute in, one of :func:`~nnunet_femur.networks.precision.openvino_precisions`.

    Raises:
        NotConvertibleError: OpenVINO is not installed, or a network cannot be converted.

    Example:
        >>> network = torch.nn.Conv3d(1, 2, 3, padding=1).eval()
        >>> weights = network.state_dict()
        >>> backend = OpenVinoBackend(network, [weights], patch_size=(16, 16, 16), channels_in=1)
        >>> backend.load(weights)
        >>> backend(torch.zeros(1, 1, 16, 16, 16)).shape
        torch.Size([1, 2, 16, 16, 16])
    """

    name = "openvino"

    def __init__(
        self,
        network: torch.nn.Module,
        folds: Sequence[Parameters],
        *,
        patch_size: Sequence[int],
        channels_in: int,
        precision: Precision = "float32",
    ) -> None:
        self.precision = precision
        self.device = torch.device("cpu")
        # Windows of volumes fill the processor one by one.
        self.batch = max(1, _PIXELS_AT_ONCE // math.prod(patch_size)) if len(patch_size) == 2 else 1
        self.notes: list[str] = []
        self.free_memory: Callable[[], bool] | None = None
        inner, shape = part_to_convert(network, patch_size, channels_in)
        self._folds: list[tuple[Parameters, torch.nn.Module]] = []
        for parameters in folds:
            network.load_state_dict(parameters)
            self._folds.append((parameters, _around(network, _converted(inner, shape, precision))))
        self._network = self._folds[0][1]

    def load(self, parameters: Parameters) -> None:
        """Use the converted network of a fold."""
        self._network = next(network for given, network in self._folds if given is parameters)

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """Return the logits of windows, see :class:`~nnunet_femur.prediction.backends.Backend`."""
        with torch.inference_mode():
            logits: torch.Tensor = self._network(windows.to(self.device))
        return logits


def part_to_convert(
    network: torch.nn.Module, patch_size: Sequence[int], channels_in: int
) -> tuple[torch.nn.Module, tuple[int, ...]]:
    """Return the part of a network that a backend can convert, and the shape of one of its inputs.

    This is the network itself, except for networks of slices, whose planes depend on the content of a volume.

    Args:
        network: The network of a model.
        patch_size: Size of a window along its axes.
        channels_in: Number of input channels.
    """
    if not isinstance(network, ThreePlaneNetwork):
        return network, (1, channels_in, *patch_size)
    edge = math.isqrt(SLICE_PIXELS)
    size = patch_size if len(patch_size) == 2 else (edge, edge)
    return network.network, (1, channels_in * (1 + 2 * network.neighbours), *size)


def _around(network: torch.nn.Module, converted: ConvertedNetwork) -> torch.nn.Module:
    """Return the converted network, in a copy of the wrapper of its planes if it has one."""
    if not isinstance(network, ThreePlaneNetwork):
        return converted
    wrapper = copy.copy(network)
    # A copied module shares the dictionary of its parts with the original.
    wrapper._modules = {**network._modules, "network": converted}  # noqa: SLF001
    # Learned weights of planes are those of the fold that was loaded last.
    wrapper._buffers = copy.deepcopy(network._buffers)  # noqa: SLF001
    wrapper.in_bfloat16 = False
    return wrapper


def _converted(network: torch.nn.Module, shape: tuple[int, ...], precision: Precision) -> ConvertedNetwork:
    """Convert a network with the smallest example of a quarter, a half or all of a window that it accepts."""
    for parts in (4, 2, 1):
        sizes = [math.ceil(n / parts) for n in shape[2:]]
        example = torch.randn(*shape[:2], *sizes, generator=torch.Generator().manual_seed(0))
        # Refused are sizes that are no multiple of the strides, and a single voxel in the deepest layer.
        with suppress(RuntimeError, ValueError):
            return ConvertedNetwork(network, example, precision=precision)
    msg = f"PyTorch itself does not compute a window of {shape[2:]}"
    raise NotConvertibleError(msg)


class _CentredNorm(torch.nn.Module):
    """An instance normalization that subtracts each instance's mean before, which does not change its result.

    OpenVINO sums the mean and the variance in single precision, one value after the other. For the two million voxels
    of a window, that is too coarse where the mean is far from 0. A mean axis by axis has short sums.
    """

    def __init__(self, norm: torch.nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalized features of a volume."""
        mean = x
        for axis in range(x.ndim - 1, 1, -1):
            mean = mean.mean(axis, keepdim=True)
        normalized: torch.Tensor = self.norm(x - mean)
        return normalized


def _with_centred_norms(network: torch.nn.Module) -> torch.nn.Module:
    """Return a copy of a network whose instance normalizations of volumes subtract the mean before."""
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, part in list(module.named_children()):
            if isinstance(part, torch.nn.InstanceNorm3d) and not part.track_running_stats:
                setattr(module, name, _CentredNorm(part))
    return network


def _compiled(traced: Any, precision: Precision) -> Any:
    """Compile a traced network for the processor.

    The frontend is called directly: `openvino.convert_model` sends statistics of its use over the Internet.
    """
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    frontend = FrontEndManager().load_by_framework("pytorch")
    # Copied weights: those of the network in memory are replaced by the next fold's. The variable keeps the decoder
    # alive until the model is converted.
    decoder = TorchScriptPythonDecoder(traced, shared_memory=False)
    model = frontend.convert(frontend.load(decoder))
    settings = {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
        # Several processes on one machine would be bound to the same cores.
        "ENABLE_CPU_PINNING": False,
    }
    return openvino.Core().compile_model(model, "CPU", settings)


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[-1]
