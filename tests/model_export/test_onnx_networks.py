"""The networks of an export against PyTorch's, and what they reveal of the machine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nnunet_femur.model_export.onnx_description import mirrored_axes, smallest_weight

if TYPE_CHECKING:
    from pathlib import Path

    import torch

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


def _networks(network: torch.nn.Module, patch_size: list[int]) -> Any:
    """Content of a written model."""
    configuration = SimpleNamespace(patch_size=patch_size)
    return SimpleNamespace(
        network=network.eval(), configuration=configuration, folds=("0",), weights=(network.state_dict(),)
    )


def _written(network: torch.nn.Module, patch_size: list[int], folder: Path) -> Any:
    import onnxruntime

    from nnunet_femur.model_export.onnx_networks import write_networks

    write_networks(_networks(network, patch_size), folder)
    return onnxruntime.InferenceSession(folder / "fold_0.onnx")


def _network_of_slices(channels: int) -> torch.nn.Module:
    """Halves a slice with timm's convolution, whose padding depends on the size, and doubles it again."""
    from timm.layers.conv2d_same import Conv2dSame
    from torch import nn

    return nn.Sequential(
        Conv2dSame(channels, 4, 5, stride=2), nn.ReLU(), Conv2dSame(4, 4, 3, dilation=2), nn.ConvTranspose2d(4, 2, 2, 2)
    )


class TestWriteNetworks:
    def test_any_number_of_windows(self, tmp_path: Path) -> None:
        import torch
        from torch import nn

        network = nn.Sequential(nn.Conv3d(1, 3, 3, padding=1), nn.InstanceNorm3d(3), nn.Conv3d(3, 2, 1))
        session = _written(network, [6, 8, 4], tmp_path)
        for n in (1, 5):
            windows = torch.randn(n, 1, 6, 8, 4)
            (found,) = session.run(["logits"], {"windows": windows.numpy()})
            assert np.allclose(found, network(windows).detach().numpy(), atol=1e-5)

    def test_slices_of_any_size(self, tmp_path: Path) -> None:
        import torch

        from nnunet_femur.networks.three_planes import ThreePlaneNetwork

        network = _network_of_slices(3)
        session = _written(ThreePlaneNetwork(network, stride=2, neighbours=1), [8, 8, 8], tmp_path)
        for shape in ((1, 3, 2, 2), (4, 3, 10, 6)):
            slices = torch.randn(*shape)
            (found,) = session.run(["probabilities"], {"slices": slices.numpy()})
            assert np.allclose(found, network(slices).softmax(1).detach().numpy(), atol=1e-5)

    def test_windows_of_one_slice_are_padded_to_the_stride(self, tmp_path: Path) -> None:
        import torch

        from nnunet_femur.networks.three_planes import ThreePlaneNetwork

        network = ThreePlaneNetwork(_network_of_slices(1), stride=2, in_bfloat16=False)
        session = _written(network, [7, 5], tmp_path)
        windows = torch.randn(2, 1, 1, 7, 5)
        (found,) = session.run(["logits"], {"windows": windows.numpy()})
        with torch.no_grad():
            expected = network(windows[:, :, 0])[:, :, None]
        assert np.allclose(found, expected.numpy(), atol=1e-5)

    def test_contains_no_paths_of_this_machine(self, tmp_path: Path) -> None:
        from torch import nn

        _written(nn.Conv3d(1, 2, 3, padding=1), [4, 4, 4], tmp_path)
        content = (tmp_path / "fold_0.onnx").read_bytes()
        assert b".py" not in content
        assert b"stack_trace" not in content
        assert b"nnunet_femur" in content, "it names what made it"


class TestRunSlices:
    @pytest.mark.parametrize(
        ("empty", "axes", "learns"),
        [(False, (0, 2), False), (True, (0, 2), False), (False, (3, 6), False), (False, (1, 5, 8, 0), True)],
    )
    def test_equals_the_network_of_three_planes(
        self, empty: bool, axes: tuple[int, ...], learns: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Planes of different weights, also oblique ones, pixels of another size than voxels, neighbours, and a border.

        The border is zero. Learned weights are those of the fold.
        """
        import importlib.util
        import json
        import shutil

        import torch

        from nnunet_femur.model_export.onnx_description import describe_slices
        from nnunet_femur.model_export.onnx_target import SOURCES
        from nnunet_femur.networks.three_planes import ThreePlaneNetwork

        torch.manual_seed(0)
        network = ThreePlaneNetwork(
            _network_of_slices(3),
            axes=axes,
            weights=(1.0, 3.0) if len(axes) == 2 else None,
            learns_weights=learns,
            stride=2,
            scale=(1.5, 1.0, 0.7),
            neighbours=1,
            in_bfloat16=False,
        )
        if learns:
            network.set_weights((4.0, 3.0, 2.0, 0.0))
        _written(network, [9, 8, 7], tmp_path)
        (tmp_path / "model.json").write_text(
            json.dumps({"slices": describe_slices(network, {0: network.state_dict()})})
        )
        shutil.copy(SOURCES / "run_slices.py", tmp_path)
        specification = importlib.util.spec_from_file_location("run_slices", tmp_path / "run_slices.py")
        run_slices = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(run_slices)
        volume = torch.zeros(1, 1, 9, 8, 7)
        if not empty:
            volume[:, :, 1:, 2:7, :5] = torch.randn(1, 1, 8, 5, 5)
        (found,) = run_slices.InferenceSession(tmp_path / "fold_0.onnx").run(None, {"windows": volume.numpy()})
        expected = network(volume).numpy()
        assert np.abs(found - expected).max() < 1e-4
        if not empty:
            assert np.allclose(found[0, :, 0], np.log(0.5)), "the border of zeros"


def test_smallest_weight_is_that_of_nnunet() -> None:
    import torch
    from nnunetv2.inference.sliding_window_prediction import compute_gaussian

    for size in ([12, 16, 10], [128, 64], [33, 16, 64]):
        weights = compute_gaussian(tuple(size), value_scaling_factor=10, device=torch.device("cpu"))
        assert smallest_weight(size) == float(weights.min())


def test_mirrored_axes_are_those_of_nnunet_in_its_order() -> None:
    assert mirrored_axes(None, 3) == [[]]
    assert mirrored_axes((0, 1, 2), 3) == [[], [-3], [-2], [-1], [-3, -2], [-3, -1], [-2, -1], [-3, -2, -1]]
    assert mirrored_axes((0, 1), 2) == [[], [-2], [-1], [-2, -1]]
