"""The two-dimensional networks, by the names that trainers give them."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch

from nnunet_femur.networks.registry import ARCHITECTURES, ENCODERS, Encoder, build_slice_network, stride_of
from nnunet_femur.networks.three_planes import ThreePlaneNetwork
from tests.refusing import refused

# Millions of parameters, as the study's networks have them, and the stride.
NETWORKS = {
    ("Unet", "ResNet34"): (24.4, 32),
    ("UnetPlusPlus", "ResNet34"): (26.1, 32),
    ("Unet", "ResNet50"): (32.5, 32),
    ("UnetPlusPlus", "ResNet50"): (49.0, 32),
    ("Unet", "DeepLabV3"): (42.3, 16),
    ("UnetPlusPlus", "DeepLabV3"): (45.5, 16),
    ("Unet", "MobileNetV3"): (6.7, 32),
    ("UnetPlusPlus", "MobileNetV3"): (6.9, 32),
}


def _parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_every_pair_is_tested_here() -> None:
    assert set(NETWORKS) == {(architecture, encoder) for architecture in ARCHITECTURES for encoder in ENCODERS}


@pytest.mark.parametrize(("architecture", "encoder"), NETWORKS, ids="".join)
def test_parameters_and_stride(architecture: str, encoder: str) -> None:
    millions, stride = NETWORKS[architecture, encoder]
    with torch.device("meta"):
        network = build_slice_network(architecture, encoder, in_channels=1, classes=2)
    assert round(_parameters(network) / 1e6, 1) == millions
    assert stride_of(network) == stride


@pytest.mark.parametrize(
    ("encoder", "name"),
    [("ResNet34", "resnet34"), ("ResNet50", "resnet50"), ("MobileNetV3", "timm-mobilenetv3_large_100")],
)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_is_the_network_of_smp(architecture: str, encoder: str, name: str) -> None:
    """The last name is the one in the authors' notebooks."""
    with torch.device("meta"):
        ours = build_slice_network(architecture, encoder, in_channels=1, classes=2)
        theirs = smp.create_model(architecture, name, encoder_weights=None, in_channels=1, classes=2)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}


@pytest.mark.parametrize(("architecture", "encoder"), NETWORKS, ids="".join)
def test_odd_sizes_go_through_the_wrapper(architecture: str, encoder: str) -> None:
    """Nearly all of these networks refuse a size that is no multiple of their stride."""
    with torch.device("meta"):
        network = build_slice_network(architecture, encoder, in_channels=2, classes=3)
        wrapper = ThreePlaneNetwork(network, stride=stride_of(network))
        assert wrapper(torch.zeros(1, 2, 49, 33)).shape == (1, 3, 49, 33)


@pytest.mark.parametrize("name", ["efficientnet-b0", "tu-resnet10t"], ids=["smp's", "timm's"])
def test_an_encoder_is_added_by_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "Another", Encoder(name))
    for architecture in ARCHITECTURES:
        network = build_slice_network(architecture, "Another", in_channels=1, classes=2).eval()
        assert network(torch.zeros(1, 1, 64, 32)).shape == (1, 2, 64, 32)


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with refused("invalid-option", "'resnet34'", "ResNet34"):
        build_slice_network("Unet", "resnet34", in_channels=1, classes=2)
    with refused("invalid-option", "'UNet'", "Unet, UnetPlusPlus"):
        build_slice_network("UNet", "ResNet34", in_channels=1, classes=2)


def test_building_needs_no_network_access(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for encoder in ENCODERS:
        build_slice_network("Unet", encoder, in_channels=1, classes=2)
