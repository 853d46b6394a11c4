"""OpenVINO against PyTorch, for each kind of network that this package predicts with."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch import nn

from nnunet_femur.networks.merged_heads import MergedHead, merge_heads
from nnunet_femur.networks.precision import openvino_precisions
from nnunet_femur.networks.three_planes import ThreePlaneNetwork
from nnunet_femur.prediction.backends import ConvertedNetwork, OpenVinoBackend
from nnunet_femur.prediction.backends.openvino_backend import NotConvertibleError

if TYPE_CHECKING:
    from collections.abc import Callable

pytest.importorskip("openvino")

ERROR = {"float32": 1e-3, "float16": 0.02, "bfloat16": 0.2}
"""Largest difference of a logit in standard deviations of the logits."""


def _unet(kind: type[nn.Module] = PlainConvUNet, dimensions: int = 3) -> nn.Module:
    conv, norm = (nn.Conv3d, nn.InstanceNorm3d) if dimensions == 3 else (nn.Conv2d, nn.InstanceNorm2d)
    blocks = {"n_blocks_per_stage": 1} if kind is ResidualEncoderUNet else {"n_conv_per_stage": 1}
    further: dict[str, Any] = {"norm_op": norm, "norm_op_kwargs": {"eps": 1e-5, "affine": True}, "conv_bias": True}
    further |= {"nonlin": nn.LeakyReLU, "nonlin_kwargs": {"inplace": True}, "deep_supervision": False}
    return kind(1, 3, [4, 8, 8], conv, 3, [1, 2, 2], num_classes=5, n_conv_per_stage_decoder=1, **blocks, **further)  # type: ignore[no-any-return]


def _finetuned() -> nn.Module:
    network = merge_heads(_unet(), (2, 3))
    for module in network.modules():
        if isinstance(module, MergedHead):
            module.merges = False
    return network


def _planes() -> nn.Module:
    return ThreePlaneNetwork(_unet(dimensions=2), stride=4, slices_at_once=4, in_bfloat16=False)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "U-Net": (_unet, (16, 24, 16)),
    "ResEnc": (lambda: _unet(ResidualEncoderUNet), (16, 16, 24)),
    "fine-tuned": (_finetuned, (16, 16, 16)),
    "2D": (lambda: _unet(dimensions=2), (24, 16)),
}


def _weights(network: nn.Module, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    state = network.state_dict()
    # Tied tensors keep one value.
    drawn: dict[int, torch.Tensor] = {}
    for value in state.values():
        if value.is_floating_point() and value.data_ptr() not in drawn:
            noise = torch.rand(value.shape, generator=generator) - 0.5
            drawn[value.data_ptr()] = value + noise * value.std(correction=0)
    return {name: drawn.get(value.data_ptr(), value).clone() for name, value in state.items()}


def _difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max() / expected.std())


@pytest.mark.parametrize(
    ("name", "precision"), [*((name, "float32") for name in NETWORKS), ("U-Net", "float16"), ("U-Net", "bfloat16")]
)
def test_logits_of_two_folds(name: str, precision: Any) -> None:
    if precision not in openvino_precisions():
        pytest.skip(f"this processor has no {precision}")
    build, patch = NETWORKS[name]
    torch.manual_seed(1)
    network = build().eval()
    folds = [_weights(network, seed) for seed in (1, 2)]
    backend = OpenVinoBackend(copy.deepcopy(network), folds, patch_size=patch, channels_in=1, precision=precision)
    x = torch.randn(2, 1, *patch)
    found = []
    for weights in (*folds, folds[0]):
        backend.load(weights)
        found.append(backend(x))
    # Tensors of earlier calls keep their values.
    assert torch.equal(found[0], found[2])
    for weights, logits in zip(folds, found, strict=False):
        network.load_state_dict(weights)
        with torch.no_grad():
            expected = network(x)
        assert logits.shape == expected.shape
        assert _difference(logits, expected) < ERROR[precision]
    assert _difference(found[0], found[1]) > 1


def test_network_of_three_planes() -> None:
    torch.manual_seed(2)
    network = _planes().eval()
    weights = network.state_dict()
    volume = torch.randn(1, 1, 20, 33, 40)
    with torch.no_grad():
        expected = network(volume)
    backend = OpenVinoBackend(network, [weights], patch_size=(20, 33, 40), channels_in=1)
    assert _difference(backend(volume).exp(), expected.exp()) < ERROR["float32"]
    # The network itself is unchanged.
    with torch.no_grad():
        assert torch.equal(network(volume), expected)
    assert isinstance(network.network, nn.Module)
    assert not isinstance(network.network, ConvertedNetwork)


def test_each_fold_has_its_weights_of_planes() -> None:
    """Also of oblique planes; a fold that is loaded later does not change those of the first."""
    torch.manual_seed(2)
    network = ThreePlaneNetwork(
        _unet(dimensions=2), axes=(0, 4), learns_weights=True, stride=4, slices_at_once=4, in_bfloat16=False
    ).eval()
    folds = [copy.deepcopy(network.state_dict()) for _ in range(2)]
    folds[1]["learned_weights"] = torch.tensor([0.1, 0.9])
    backend = OpenVinoBackend(network, folds, patch_size=(20, 33, 40), channels_in=1)
    volume = torch.randn(1, 1, 20, 33, 40)
    for fold in folds:
        backend.load(fold)
        network.load_state_dict(fold)
        with torch.no_grad():
            expected = network(volume)
        assert _difference(backend(volume).exp(), expected.exp()) < ERROR["float32"]


class TestConversion:
    def test_any_shape_after_a_small_example(self) -> None:
        torch.manual_seed(3)
        network = _unet().eval()
        converted = ConvertedNetwork(network, torch.randn(1, 1, 8, 8, 8))
        for shape in ((1, 1, 24, 16, 8), (3, 1, 8, 32, 16)):
            x = torch.randn(shape)
            with torch.no_grad():
                assert _difference(converted(x), network(x)) < ERROR["float32"]

    def test_later_changes_of_the_weights_have_no_effect(self) -> None:
        network, x = nn.Conv3d(1, 2, 3, padding=1).eval(), torch.randn(1, 1, 8, 8, 8)
        converted = ConvertedNetwork(network, x)
        before = converted(x)
        with torch.no_grad():
            network.weight.zero_()
            network.bias.fill_(7)
        assert torch.equal(converted(x), before)

    def test_not_contiguous_input(self) -> None:
        network, x = nn.Conv2d(1, 2, 3, padding=1).eval(), torch.randn(1, 1, 9, 6)
        converted = ConvertedNetwork(network, x)
        with torch.no_grad():
            assert _difference(converted(x.flip(3).mT), network(x.flip(3).mT)) < ERROR["float32"]

    def test_a_network_that_depends_on_its_input_is_refused(self) -> None:
        class Depends(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x + 1 if float(x.abs().sum()) > 0 else x - 1

        with pytest.raises(NotConvertibleError, match="differ"):
            ConvertedNetwork(Depends(), torch.randn(1, 1, 8, 8))

    def test_an_operation_that_is_missing_is_refused(self) -> None:
        class Missing(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x * torch.linalg.svdvals(x)[..., :1, None]

        with pytest.raises(NotConvertibleError):
            ConvertedNetwork(Missing(), torch.randn(1, 1, 8, 8))

    def test_no_statistics_are_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """OpenVINO's own converter reports each conversion to its makers, unless the user has forbidden it."""
        telemetry = pytest.importorskip("openvino_telemetry")
        used = []
        monkeypatch.setattr(telemetry.Telemetry, "send_event", lambda *given, **further: used.append(given))
        monkeypatch.setattr(telemetry.Telemetry, "start_session", lambda *given, **further: used.append(given))
        ConvertedNetwork(nn.Conv2d(1, 2, 3, padding=1).eval(), torch.randn(1, 1, 8, 8))
        assert used == []


@pytest.mark.parametrize(("patch_size", "batch"), [((64, 128), 64), ((512, 512), 2), ((16, 16, 16), 1)])
def test_small_slices_are_computed_together(patch_size: tuple[int, ...], batch: int) -> None:
    network = (nn.Conv2d if len(patch_size) == 2 else nn.Conv3d)(1, 2, 3, padding=1).eval()
    backend = OpenVinoBackend(network, [network.state_dict()], patch_size=patch_size, channels_in=1)
    assert backend.batch == batch
    windows = torch.randn(3, 1, *patch_size)
    with torch.no_grad():
        assert torch.allclose(backend(windows), network(windows), atol=1e-4)


def test_a_mean_far_from_zero_costs_no_accuracy() -> None:
    network = nn.Sequential(nn.InstanceNorm3d(1)).eval()
    converted = ConvertedNetwork(network, torch.randn(1, 1, 16, 16, 16))
    volume = 100 + torch.randn(1, 1, 64, 64, 64, generator=torch.Generator().manual_seed(0))
    exact = network(volume.double())
    # Without the subtraction of the mean before, the difference is 5e-5.
    assert float((converted(volume) - exact).abs().max()) < 1e-5
    # The network of the caller is as it was.
    assert type(network[0]) is nn.InstanceNorm3d
