"""ONNX files of the networks of a model: windows to logits, or slices to probabilities."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nnunet_femur.networks.three_planes import ThreePlaneNetwork
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nnunet_femur.model_export.trained_networks import TrainedNetworks

OPSET = 18
"""Version of ONNX's operators, which ONNX Runtime, OpenVINO and TensorRT of 2023 and later read."""

_BATCH = 2
"""Windows or slices of the example; an example of one would fix their number to one."""


class WindowOfSlices(nn.Module):
    """A network of slices as a network of windows that are one slice thick.

    Args:
        network: The network of slices.
        stride: Rows and columns are padded with zeros to a multiple of this number, and the padding is cut off again.

    Example:
        >>> network = WindowOfSlices(nn.Conv2d(1, 2, 3, padding=1), stride=8)
        >>> network(torch.zeros(3, 1, 1, 20, 24)).shape
        torch.Size([3, 2, 1, 20, 24])
    """

    def __init__(self, network: nn.Module, *, stride: int) -> None:
        super().__init__()
        self.network = network
        self.stride = stride

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (n, classes, 1, rows, columns), of windows of shape (n, channels, 1, rows, columns)."""
        rows, columns = windows.shape[-2:]
        slices = nn.functional.pad(windows.squeeze(2), (0, -columns % self.stride, 0, -rows % self.stride))
        logits: torch.Tensor = self.network(slices)[..., :rows, :columns]
        return logits.unsqueeze(2)


class Probabilities(nn.Module):
    """A network of slices that returns the softmax of its logits.

    Args:
        network: The network of slices.

    Example:
        >>> Probabilities(nn.Conv2d(1, 2, 1))(torch.zeros(3, 1, 8, 8)).shape
        torch.Size([3, 2, 8, 8])
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Return probabilities, shape (n, classes, rows, columns), of slices of shape (n, channels, rows, columns)."""
        return self.network(slices).softmax(1)


class FixedPadding(nn.Module):
    """A convolution of timm with TensorFlow's padding, for images whose size is a multiple of its stride.

    The padding then does not depend on the size, which the exporter would otherwise compute for every layer.

    Args:
        convolution: The convolution.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution
        self.padding: list[int] = []
        for size, step, dilation in zip(
            reversed(convolution.kernel_size), reversed(convolution.stride), reversed(convolution.dilation), strict=True
        ):
            total = max((size - 1) * dilation + 1 - step, 0)
            self.padding += [total // 2, total - total // 2]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the convolved image."""
        own = self.convolution
        padded = nn.functional.pad(x, self.padding)
        return nn.functional.conv2d(padded, own.weight, own.bias, own.stride, 0, own.dilation, own.groups)


def with_fixed_padding(network: nn.Module) -> nn.Module:
    """Replace convolutions of timm whose padding depends on the image's size, in place.

    Args:
        network: A network of slices whose size is a multiple of its stride.
    """
    from timm.layers.conv2d_same import Conv2dSame

    for name, module in list(network.named_modules()):
        if isinstance(module, Conv2dSame):
            network.set_submodule(name, FixedPadding(module))
    return network


def three_planes_of(networks: TrainedNetworks) -> ThreePlaneNetwork | None:
    """Return the wrapper of a network of slices that predicts volumes plane by plane; None for other networks."""
    network = networks.network
    cut = isinstance(network, ThreePlaneNetwork) and len(networks.configuration.patch_size) == 3
    return network if cut and isinstance(network, ThreePlaneNetwork) else None


def write_networks(networks: TrainedNetworks, folder: Path) -> None:
    """Write ``fold_K.onnx`` for each fold of a model.

    A network of volumes maps ``windows``, shape (n, 1, z, y, x), to ``logits``, shape (n, channels, z, y, x), with the
    size of its windows fixed and any n; that of a configuration ``2d`` has windows one slice thick. A network of slices
    that predicts volumes plane by plane maps ``slices``, shape (n, slices and neighbours, rows, columns), to
    ``probabilities``; rows and columns are any multiples of its stride.

    Args:
        networks: The model.
        folder: The folder to write to.
    """
    planes = three_planes_of(networks)
    for fold, weights in zip(networks.folds, networks.weights, strict=True):
        networks.network.load_state_dict(weights)
        path = folder / f"fold_{fold}.onnx"
        if planes is None:
            example = torch.zeros(_BATCH, 1, *_window(networks.configuration.patch_size))
            _write(_of_windows(networks), example, path, "windows", "logits", {0: torch.export.Dim("n")})
            continue
        stride = planes.stride
        any_size = {
            0: torch.export.Dim("n"),
            2: stride * torch.export.Dim("rows"),
            3: stride * torch.export.Dim("columns"),
        }
        example = torch.zeros(_BATCH, 1 + 2 * planes.neighbours, 2 * stride, 3 * stride)
        exported = Probabilities(with_fixed_padding(deepcopy(planes.network)))
        _write(exported, example, path, "slices", "probabilities", any_size)


def _of_windows(networks: TrainedNetworks) -> nn.Module:
    network = networks.network
    if isinstance(network, ThreePlaneNetwork):
        return WindowOfSlices(network.network, stride=network.stride)
    return network if len(networks.configuration.patch_size) == 3 else WindowOfSlices(network, stride=1)


def _window(patch_size: list[int]) -> list[int]:
    """Return the size of windows along three axes; those of slices are one voxel thick."""
    return [*[1] * (3 - len(patch_size)), *map(int, patch_size)]


def _write(
    network: nn.Module, example: torch.Tensor, path: Path, name_in: str, name_out: str, any_size: dict[int, Any]
) -> None:
    import onnx

    with torch.no_grad(), _quiet():
        torch.onnx.export(
            network.eval(),
            (example,),
            path,
            input_names=[name_in],
            output_names=[name_out],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            dynamic_shapes=(any_size,),
            verbose=False,
        )
    model = onnx.load(path)
    _forget_the_machine(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _forget_the_machine(model: Any) -> None:
    """Remove what the exporter notes about the code and the folders of this machine, and name this package."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer):
        del value.metadata_props[:]
        value.doc_string = ""
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    model.graph.name = "femur"
    model.producer_name, model.producer_version = "nnunet_femur", __version__


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which reports its own optimisations."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
