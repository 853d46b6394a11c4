"""The networks of segmentation-models-pytorch."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import torch
from huggingface_hub import constants

from nnunet_femur.errors import SetupError
from nnunet_femur.networks.slices import build_slice_network, load_encoder_weights


def _parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_unet_resnet34_has_the_parameters_of_the_paper() -> None:
    network = build_slice_network("Unet", "resnet34", in_channels=1, classes=2)
    assert round(_parameters(network) / 1e6, 1) == 24.4
    assert network(torch.zeros(2, 1, 64, 32)).shape == (2, 2, 64, 32)


def test_building_needs_no_network_access(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    build_slice_network("Unet", "resnet34", in_channels=1, classes=2)


class TestPretrainedWeights:
    def test_offline_without_a_cache_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        network = build_slice_network("Unet", "resnet34", in_channels=1, classes=2)
        with pytest.raises(SetupError, match=r"imagenet weights of resnet34 are not on this machine.*--no-pretrained"):
            load_encoder_weights(network, "resnet34", "imagenet", in_channels=1)
        assert not constants.HF_HUB_OFFLINE

    def test_grey_input_sums_the_colour_filters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A stand-in for the hub's file: the real path from there on."""
        from segmentation_models_pytorch import encoders

        source = encoders.get_encoder("resnet34", in_channels=3, weights=None)
        files = []

        def download(_repository: str, *, filename: str, revision: str) -> str:
            files.append(filename)
            return filename

        monkeypatch.setattr(encoders, "hf_hub_download", download)
        monkeypatch.setattr(encoders, "load_file", lambda _path, **_: source.state_dict())
        monkeypatch.setattr("nnunet_femur.networks.slices._reachable", lambda _endpoint: True)
        network = build_slice_network("Unet", "resnet34", in_channels=1, classes=2)
        load_encoder_weights(network, "resnet34", "imagenet", in_channels=1)
        assert "model.safetensors" in files
        assert torch.allclose(network.encoder.conv1.weight, source.conv1.weight.sum(1, keepdim=True))
        assert torch.equal(network.encoder.layer1[0].conv1.weight, source.layer1[0].conv1.weight)
