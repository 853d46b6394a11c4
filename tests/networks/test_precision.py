"""The precision that networks compute in, whatever their callers have switched on."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from nnunet_femur.networks.precision import (
    hold_to_float32,
    is_held_to_float32,
    training_precision,
    validation_precision,
)
from nnunet_femur.networks.three_planes import ThreePlaneNetwork

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")


class _Network(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 1))


def _answer(network: nn.Module) -> torch.Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        return network(torch.ones(1, 1, 4, 4))


class TestHoldToFloat32:
    def test_autocast_around_the_network_has_no_effect(self) -> None:
        network = _Network()
        with torch.no_grad():
            expected = network(torch.ones(1, 1, 4, 4))
        assert _answer(network).dtype is torch.bfloat16
        assert hold_to_float32(network) is network
        assert _answer(network).dtype is torch.float32
        assert torch.equal(_answer(network), expected)

    def test_twice_is_once(self) -> None:
        network = hold_to_float32(_Network())
        held = type(network)
        assert type(hold_to_float32(network)) is held

    def test_weights_and_kind_stay(self) -> None:
        network = _Network()
        names = list(network.state_dict())
        hold_to_float32(network)
        assert list(network.state_dict()) == names
        assert isinstance(network, _Network)
        assert type(network).__name__ == "_Network"

    def test_a_copy_is_held_and_is_a_copy(self) -> None:
        network = hold_to_float32(_Network())
        copy = deepcopy(network)
        with torch.no_grad():
            copy[1].weight.zero_()
            copy[1].bias.zero_()
        assert is_held_to_float32(copy)
        assert _answer(copy).dtype is torch.float32
        assert not _answer(copy).any()
        assert _answer(network).any()

    def test_compiled(self) -> None:
        network = torch.compile(hold_to_float32(_Network()), backend="eager", fullgraph=True)
        assert _answer(network).dtype is torch.float32

    def test_gradients(self) -> None:
        network = hold_to_float32(_Network())
        seen = []
        network[0].register_forward_hook(lambda *passed: seen.append(passed[-1].dtype))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            network(torch.ones(1, 1, 4, 4)).sum().backward()
        assert seen == [torch.float32]
        assert all(value.grad is not None and value.grad.dtype is torch.float32 for value in network.parameters())

    @pytest.mark.parametrize("shape", [(2, 1, 4, 4), (1, 1, 3, 4, 4)])
    def test_networks_of_slices(self, shape: tuple[int, ...]) -> None:
        seen = []
        network = ThreePlaneNetwork(_Network(), stride=1, in_bfloat16=True).eval()
        network.network[0].register_forward_hook(lambda *passed: seen.append(passed[-1].dtype))
        with torch.no_grad():
            network(torch.rand(shape))
            assert set(seen) == {torch.bfloat16}
            seen.clear()
            hold_to_float32(network)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                network(torch.rand(shape))
        assert set(seen) == {torch.float32}


class TestNames:
    @pytest.mark.parametrize(
        ("device", "training", "validation"),
        [(CPU, "float32", "float32"), (CUDA, "float16", "float16"), (MPS, "float32", "float32")],
    )
    def test_volumes(self, device: torch.device, training: str, validation: str) -> None:
        network = _Network()
        assert training_precision(network, device) == training
        assert validation_precision(network, device) == validation
        hold_to_float32(network)
        assert training_precision(network, device) == validation_precision(network, device) == "float32"

    @pytest.mark.parametrize(("in_bfloat16", "expected"), [(True, "bfloat16"), (False, "float32")])
    def test_slices_on_a_processor(self, in_bfloat16: bool, expected: str) -> None:
        network = ThreePlaneNetwork(_Network(), in_bfloat16=in_bfloat16)
        assert training_precision(network, CPU) == "float32"
        assert validation_precision(network, CPU) == expected
        assert validation_precision(network, CUDA) == "float16"
