"""PyTorch as a backend: precision, batches that are too large for the memory, and the weights of folds."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nnunet_femur.networks.three_planes import ThreePlaneNetwork
from nnunet_femur.prediction.backends import TorchBackend

CPU = torch.device("cpu")
PATCH = (8, 8, 8)


class SmallMemory(nn.Module):
    """Twice its input, in a memory for a number of windows."""

    def __init__(self, windows: int) -> None:
        super().__init__()
        self.windows = windows
        self.passes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes.append(len(x))
        if len(x) > self.windows:
            msg = "CUDA out of memory"
            raise torch.OutOfMemoryError(msg)
        return 2 * x


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.InstanceNorm3d(4), nn.Conv3d(4, 2, 1)).eval()


def test_float32_is_the_network_itself() -> None:
    network, x = _network(), torch.randn(3, 1, *PATCH)
    backend = TorchBackend(network, CPU, patch_size=PATCH)
    found = backend(x)
    with torch.no_grad():
        expected = torch.cat([network(each[None]) for each in x])
    assert torch.equal(found, expected)
    assert (backend.batch, backend.notes) == (1, [])


@pytest.mark.parametrize(("precision", "error"), [("float16", 1e-3), ("bfloat16", 1e-2)])
def test_reduced_precision_differs_by_its_rounding(precision: str, error: float) -> None:
    network, x = _network(), torch.randn(1, 1, *PATCH)
    found = TorchBackend(network, CPU, patch_size=PATCH, precision=precision)(x)
    with torch.no_grad():
        difference = (found.float() - network(x)).abs().max() / network(x).std()
    assert 0 < difference < 5 * error
    # Sums are kept in float16, which has more digits than bfloat16.
    assert found.dtype is (torch.float16 if precision == "float16" else torch.float32)


def test_float32_also_inside_an_autocast() -> None:
    network, x = _network(), torch.randn(1, 1, *PATCH)
    backend = TorchBackend(network, CPU, patch_size=PATCH)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = backend(x)
    assert torch.equal(inside, backend(x))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_networks_of_slices_follow(precision: str) -> None:
    """Also where the processor has bfloat16, which they take by themselves under nnU-Net's own commands."""
    inner = nn.Conv2d(1, 2, 3, padding=1)
    network = ThreePlaneNetwork(inner, stride=1, in_bfloat16=True).eval()
    types = set()
    inner.register_forward_hook(lambda module, given, output: types.add(output.dtype))
    backend = TorchBackend(network, CPU, patch_size=PATCH, precision=precision)
    backend(torch.randn(1, 1, 4, 5, 6))
    backend(torch.randn(2, 1, 5, 6))
    assert types == {getattr(torch, precision)}
    assert network.in_bfloat16, "only for the time of the prediction"


def test_float32_has_no_tensor_float(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    network, allowed = _network(), []
    network[0].register_forward_hook(lambda *_: allowed.append(torch.backends.cudnn.allow_tf32))
    for precision in ("float32", "float16"):
        TorchBackend(network, CPU, patch_size=PATCH, precision=precision)(torch.zeros(1, 1, *PATCH))
    assert allowed == [False, True]
    assert torch.backends.cudnn.allow_tf32


def test_each_fold_has_its_own_weights() -> None:
    network, x = _network(), torch.randn(1, 1, *PATCH)
    first = {name: value.clone() for name, value in network.state_dict().items()}
    second = {name: value + 1 for name, value in first.items()}
    backend = TorchBackend(network, CPU, patch_size=PATCH)
    found = []
    for weights in (first, second, first):
        backend.load(weights)
        found.append(backend(x))
    assert torch.equal(found[0], found[2])
    assert not torch.allclose(found[0], found[1])


class TestOutOfMemory:
    def test_batches_are_divided_and_stay_small(self) -> None:
        network = SmallMemory(2)
        backend = TorchBackend(network, CPU, patch_size=PATCH)
        backend.batch = 8
        x = torch.randn(7, 1, *PATCH)
        assert torch.equal(backend(x), 2 * x)
        assert network.passes == [7, 3, 1, 1, 1, 1, 1, 1, 1]
        assert backend.batch == 1
        network.passes.clear()
        assert torch.equal(backend(x[:2]), 2 * x[:2])
        assert network.passes == [1, 1]
        assert len(backend.notes) == 2
        assert all("memory" in note for note in backend.notes)

    def test_a_batch_that_fits_is_one_pass(self) -> None:
        network = SmallMemory(8)
        backend = TorchBackend(network, CPU, patch_size=PATCH)
        backend.batch = 8
        assert len(backend(torch.zeros(8, 1, *PATCH))) == 8
        assert network.passes == [8]
        assert backend.notes == []

    def test_a_single_window_that_does_not_fit_is_an_error(self) -> None:
        backend = TorchBackend(SmallMemory(0), CPU, patch_size=PATCH)
        with pytest.raises(torch.OutOfMemoryError):
            backend(torch.zeros(2, 1, *PATCH))
        assert backend.notes == []

    def test_memory_is_freed_for_a_single_window_once(self) -> None:
        network = SmallMemory(0)
        backend = TorchBackend(network, CPU, patch_size=PATCH)
        freed = iter((True, False))

        def free() -> bool:
            network.windows += 1
            return next(freed)

        backend.free_memory = free
        x = torch.randn(2, 1, *PATCH)
        assert torch.equal(backend(x), 2 * x)
        assert network.passes == [1, 1, 1]
        assert len(backend.notes) == 1
        network.windows = -1
        with pytest.raises(torch.OutOfMemoryError):
            backend(x)


@pytest.mark.parametrize(
    ("patch", "batch"),
    [((128, 128, 128), 4), ((64, 64, 64), 32), ((16, 16, 16), 32), ((256, 256, 256), 1), ((512, 512), 32)],
)
def test_graphics_cards_get_batches_by_the_size_of_a_window(patch: tuple[int, ...], batch: int) -> None:
    assert TorchBackend(_network(), torch.device("cuda"), patch_size=patch).batch == batch
