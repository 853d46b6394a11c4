"""Low-rank adapters: a network with a plain state dict that equals its sum."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nnunet_femur.networks.adapters import adapter_state, add_adapters, is_adapter, load_adapters


def _network() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv3d(1, 6, 3, padding=1), nn.ConvTranspose3d(6, 4, 2, 2), nn.Conv3d(4, 2, 1))
    made.add_module("seg_layers", nn.Conv3d(2, 2, 1))
    return made


IMAGE = torch.linspace(-1, 1, 64).reshape(1, 1, 4, 4, 4)


@pytest.fixture
def trained() -> nn.Module:
    """A network whose adapters alone were trained for two steps."""
    network = add_adapters(_network(), rank=2)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(is_adapter(name))
    optimizer = torch.optim.SGD((one for one in network.parameters() if one.requires_grad), 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        network(IMAGE).pow(2).sum().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1)
        optimizer.step()
    return network


def test_they_start_at_nothing() -> None:
    assert torch.equal(add_adapters(_network(), rank=2)(IMAGE), _network()(IMAGE))


def test_the_state_is_that_of_a_plain_network(trained: nn.Module) -> None:
    plain = _network()
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    state = trained.state_dict()
    assert state.keys() == before.keys()
    changed = {name for name, value in before.items() if not torch.equal(value, state[name])}
    assert changed == {"0.weight", "1.weight", "2.weight"}, "neither biases nor the head"
    plain.load_state_dict(state)
    assert torch.allclose(plain(IMAGE), trained(IMAGE), atol=1e-6)


def test_an_addition_has_the_rank(trained: nn.Module) -> None:
    for name in ("0.weight", "1.weight"):
        addition = (trained.state_dict()[name] - _network().state_dict()[name]).flatten(1)
        assert torch.linalg.matrix_rank(addition, atol=1e-5) in (1, 2)


def test_the_rank_is_at_most_that_of_the_weight() -> None:
    network = add_adapters(nn.Sequential(nn.Conv3d(3, 2, 1)), rank=8)
    assert [tuple(value.shape) for value in adapter_state(network).values()] == [(2, 3), (2, 2)]


def test_a_restored_network_continues_with_its_adapters(trained: nn.Module) -> None:
    state, adapters = trained.state_dict(), adapter_state(trained)
    restored = add_adapters(_network(), rank=2)
    restored.load_state_dict(state)
    assert all(value.eq(0).all() for name, value in adapter_state(restored).items() if name.endswith("up"))
    load_adapters(restored, adapters)
    for name, value in restored.named_parameters():
        assert torch.allclose(value, dict(trained.named_parameters())[name], atol=1e-6), name
    for name, value in restored.state_dict().items():
        assert torch.allclose(value, state[name], atol=1e-6), name
