"""The backend and the precision that follow from options, device and what is installed."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.networks.precision import hold_to_float32, openvino_precisions
from nnunet_femur.networks.three_planes import ThreePlaneNetwork
from nnunet_femur.prediction.backends import choice, make_backend
from nnunet_femur.prediction.backends.choice import openvino_precision, torch_precision

CPU, CUDA, MPS = (torch.device(name) for name in ("cpu", "cuda", "mps"))
PATCH = (8, 8, 8)
FLOP = 2 * 27 * 8**3
"""Multiplications and additions of a filter of 3 x 3 x 3 in a window."""


class Missing(nn.Conv3d):
    """A network with an operation that OpenVINO does not have."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * torch.linalg.svdvals(x)[..., :1, None]


def _made(network: nn.Module | None = None, **options: Any) -> Any:
    network = network or nn.Conv3d(1, 1, 3, padding=1, bias=False).eval()
    return make_backend(network, [network.state_dict()], patch_size=PATCH, **{"device": CPU, **options})


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every network be large."""
    monkeypatch.setattr(choice, "LARGE_FLOP", 1)


@pytest.fixture
def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)


class TestAuto:
    @pytest.mark.parametrize(("limit", "name"), [(10 * FLOP, "openvino"), (10 * FLOP + 1, "torch")])
    def test_openvino_for_large_networks(self, monkeypatch: pytest.MonkeyPatch, limit: int, name: str) -> None:
        pytest.importorskip("openvino")
        monkeypatch.setattr(choice, "LARGE_FLOP", limit)
        made = _made()
        assert (made.name, made.notes) == (name, [])
        expected = "float16" if name == "openvino" and "float16" in openvino_precisions() else "float32"
        assert made.precision == expected

    @pytest.mark.parametrize(("patch", "pixels"), [((8, 12, 16), 2 * 8 * 12 * 16), ((8, 16), 100 * 8 * 16)])
    def test_work_of_slice_networks(self, monkeypatch: pytest.MonkeyPatch, patch: Any, pixels: int) -> None:
        """Two planes of a volume, or a hundred slices."""
        network = ThreePlaneNetwork(nn.Conv2d(1, 1, 3, padding=1, bias=False), axes=(0, 2), stride=1).eval()
        for limit, large in ((2 * 9 * pixels, True), (2 * 9 * pixels + 1, False)):
            monkeypatch.setattr(choice, "LARGE_FLOP", limit)
            assert choice._is_large(network, patch, 1) == large

    def test_the_network_keeps_its_weights(self, large: None) -> None:
        tied = nn.Conv3d(1, 1, 3, padding=1)
        network = nn.Sequential(tied, nn.Sequential(tied, nn.ReLU())).eval()
        _made(network)
        assert {value.device.type for value in network.state_dict().values()} == {"cpu"}

    def test_pytorch_where_openvino_is_not_installed(self, large: None, without_openvino: None) -> None:
        assert openvino_precisions() == ()
        made = _made()
        assert (made.name, made.precision, made.notes) == ("torch", "float32", [])

    def test_pytorch_with_a_note_where_openvino_fails(self, large: None) -> None:
        pytest.importorskip("openvino")
        made = _made(Missing(1, 1, 3, padding=1).eval())
        assert (made.name, made.precision) == ("torch", "float32")
        assert len(made.notes) == 1
        assert "OpenVINO" in made.notes[0]
        assert made(torch.randn(1, 1, *PATCH)).shape == (1, 1, *PATCH)

    def test_pytorch_where_openvino_lacks_the_precision(self, large: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choice, "openvino_precisions", lambda: ("float32",))
        made = _made(precision="float16")
        assert (made.name, made.precision, len(made.notes)) == ("torch", "float16", 1)


class TestHeldToFloat32:
    """Networks whose recipe forbids half precision."""

    def _network(self) -> nn.Module:
        return hold_to_float32(nn.Conv3d(1, 1, 3, padding=1).eval())

    @pytest.mark.parametrize("options", [{}, {"half": True}, {"device": CUDA}], ids=str)
    def test_by_default(self, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
        monkeypatch.setattr(choice, "calculates_in_bfloat16", lambda: True)
        made = _made(self._network(), backend="torch", **options)
        assert (made.precision, made.notes) == ("float32", [])

    def test_with_a_note_on_another_precision(self) -> None:
        made = _made(self._network(), backend="torch", precision="bfloat16")
        assert (made.precision, len(made.notes)) == ("float32", 1)

    def test_with_openvino(self, large: None) -> None:
        pytest.importorskip("openvino")
        assert [_made(self._network(), precision=each).precision for each in ("auto", "float16")] == ["float32"] * 2
        made = _made(self._network(), precision="float16")
        assert (made.name, len(made.notes)) == ("openvino", 1)


class TestRequests:
    def test_openvino(self) -> None:
        pytest.importorskip("openvino")
        assert _made(backend="openvino", precision="float32").name == "openvino"

    def test_openvino_that_is_not_installed(self, without_openvino: None) -> None:
        with pytest.raises(SetupError) as caught:
            _made(backend="openvino")
        assert caught.value.code == "not-installed"

    def test_openvino_for_a_network_that_it_does_not_compute(self) -> None:
        pytest.importorskip("openvino")
        with pytest.raises(SetupError) as caught:
            _made(Missing(1, 1, 3, padding=1).eval(), backend="openvino")
        assert caught.value.code == "unsupported"

    def test_openvino_in_a_precision_that_the_processor_lacks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choice, "openvino_precisions", lambda: ("float32", "float16"))
        with pytest.raises(SetupError) as caught:
            _made(backend="openvino", precision="bfloat16")
        assert caught.value.code == "unsupported"

    @pytest.mark.parametrize(
        "wrong", [{"backend": "tensorrt"}, {"precision": "int8"}, {"backend": "openvino", "device": CUDA}]
    )
    def test_values_that_are_not_allowed(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(InputError) as caught:
            _made(**wrong)
        assert caught.value.code == "invalid-option"


def test_a_device_that_is_too_small_for_the_weights() -> None:
    class Large(nn.Module):
        def to(self, *_: Any) -> Any:
            raise torch.OutOfMemoryError

    predictor: Any = SimpleNamespace(configuration_manager=None, network=Large(), device=CUDA)
    with pytest.raises(SetupError) as caught:
        choice.backend_of(predictor, backend="auto", precision="auto", half=False)
    assert caught.value.code == "no-device"


ALL = ("float32", "float16", "bfloat16")


@pytest.mark.parametrize(
    ("asked", "available", "precision"),
    [
        ("auto", ALL, "float16"),
        ("auto", ("float32", "bfloat16"), "float32"),
        ("half", ALL, "float16"),
        ("half", ("float32", "bfloat16"), "bfloat16"),
        ("half", ("float32",), "float32"),
        ("bfloat16", ALL, "bfloat16"),
        ("float32", ALL, "float32"),
        ("float16", ("float32", "bfloat16"), None),
    ],
)
def test_precision_of_openvino(asked: Any, available: Any, precision: str | None) -> None:
    assert openvino_precision(asked, available) == precision


@pytest.mark.parametrize(
    ("asked", "device", "has_bfloat16", "precision"),
    [
        ("auto", CUDA, False, "float16"),
        ("auto", CPU, True, "float32"),
        ("auto", MPS, False, "float32"),
        ("half", CUDA, True, "float16"),
        ("half", CPU, True, "bfloat16"),
        ("half", CPU, False, "float32"),
        ("half", MPS, True, "float32"),
        ("float32", CUDA, False, "float32"),
        ("float32", MPS, False, "float32"),
        ("bfloat16", CUDA, False, "bfloat16"),
        ("float16", CPU, False, "float16"),
    ],
)
def test_precision_of_pytorch(
    monkeypatch: pytest.MonkeyPatch, asked: Any, device: torch.device, has_bfloat16: bool, precision: str
) -> None:
    monkeypatch.setattr(choice, "calculates_in_bfloat16", lambda: has_bfloat16)
    assert torch_precision(asked, device) == precision


def test_apples_devices_have_no_reduced_precision() -> None:
    with pytest.raises(SetupError) as caught:
        torch_precision("float16", MPS)
    assert caught.value.code == "unsupported"
