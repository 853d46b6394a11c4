"""The grid, mirroring and sums of nnU-Net's sliding window; nnU-Net's own predictor is the oracle."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import torch

from nnunet_femur.errors import InputError
from nnunet_femur.prediction.sliding_window import (
    LogitSums,
    mirror_axes_of,
    mirrored,
    plan_grid,
    window_logits,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = {
    "several windows along each axis": ((11, 9, 8), (4, 4, 6), 0.5, ()),
    "mirrored along two axes": ((7, 9, 8), (4, 4, 6), 0.5, (0, 2)),
    "smaller than a window, by an odd number": ((3, 9, 5), (8, 4, 6), 0.8, (1,)),
    "slices": ((5, 9, 8), (4, 6), 0.5, ()),
    "slices smaller than a window, mirrored": ((3, 5, 9), (8, 6), 1, (0, 1)),
}


def _by_nnunet(network: torch.nn.Module, data: torch.Tensor, patch, step_size, axes) -> torch.Tensor:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(
        tile_step_size=step_size,
        use_mirroring=bool(axes),
        perform_everything_on_device=False,
        device=torch.device("cpu"),
        allow_tqdm=False,
    )
    predictor.network = network
    predictor.configuration_manager = SimpleNamespace(patch_size=list(patch))
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=3)
    predictor.allowed_mirroring_axes = axes or None
    return predictor.predict_sliding_window_return_logits(data)


@pytest.fixture
def made() -> Callable[[str], tuple[torch.nn.Module, torch.Tensor]]:
    """A network without symmetry, and a CT."""

    def make(name: str) -> tuple[torch.nn.Module, torch.Tensor]:
        shape, patch, _, _ = CASES[name]
        torch.manual_seed(len(name))
        conv = torch.nn.Conv2d if len(patch) == 2 else torch.nn.Conv3d
        return conv(1, 3, 3, padding=1).eval(), torch.randn(1, *shape)

    return make


@pytest.mark.parametrize("name", CASES)
@torch.inference_mode()
def test_equals_nnunet_bit_for_bit(name: str, made) -> None:
    _, patch, step_size, axes = CASES[name]
    network, data = made(name)
    grid = plan_grid(data.shape[1:], patch, step_size=step_size)
    sums = LogitSums(grid)
    for number, logits in window_logits(network, grid.padded(data), grid, range(len(grid.windows)), mirror_axes=axes):
        sums.add(number, logits)
    found = sums.logits()[(slice(None), *grid.inside)]
    assert torch.equal(found, _by_nnunet(network, data, patch, step_size, axes))


@torch.inference_mode()
def test_a_box_has_the_logits_of_the_whole(made) -> None:
    network, data = made("several windows along each axis")
    grid = plan_grid(data.shape[1:], (4, 4, 6), step_size=0.5)
    box = (slice(3, 8), slice(0, 4), slice(2, 7))
    whole, part = LogitSums(grid), LogitSums(grid)
    touching = [
        number
        for number, window in enumerate(grid.windows)
        if all(a.start < b.stop and b.start < a.stop for a, b in zip(window, box, strict=True))
    ]
    assert 0 < len(touching) < len(grid.windows)
    for sums, numbers in ((whole, range(len(grid.windows))), (part, touching)):
        for number, logits in window_logits(network, data, grid, numbers):
            sums.add(number, logits)
    assert part.added == set(touching)
    assert torch.equal(part.logits(box), whole.logits()[(slice(None), *box)])


def test_what_no_window_covers_is_zero() -> None:
    grid = plan_grid((8, 4, 4), (4, 4, 4), step_size=1)
    sums = LogitSums(grid)
    sums.add(1, torch.ones(2, 4, 4, 4))
    found = sums.logits()
    assert found[:, :4].eq(0).all()
    assert found[:, 4:].eq(1).all()


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_refuses_what_is_not_finite(value: float) -> None:
    grid = plan_grid((4, 4, 4), (4, 4, 4), step_size=1)
    sums = LogitSums(grid)
    logits = torch.zeros(2, 4, 4, 4)
    logits[1, 2, 1, 3] = value
    sums.add(0, logits)
    with pytest.raises(InputError) as caught:
        sums.logits()
    assert caught.value.code == "invalid-model"


@pytest.mark.parametrize("name", ["several windows along each axis", "slices"])
@torch.inference_mode()
def test_batches_give_the_windows_in_their_order(name: str, made) -> None:
    network, data = made(name)
    _, patch, step_size, _ = CASES[name]
    grid = plan_grid(data.shape[1:], patch, step_size=step_size)
    sizes = []

    def several(windows: torch.Tensor) -> torch.Tensor:
        sizes.append(len(windows))
        return network(windows)

    several.batch = 4
    numbers = [5, 1, 0, 7, 3, 2]
    single, batches = (list(window_logits(each, data, grid, numbers)) for each in (network, several))
    assert sizes == [4, 2]
    assert [number for number, _ in batches] == [number for number, _ in single] == numbers
    for (_, expected), (_, found) in zip(single, batches, strict=True):
        assert torch.allclose(found, expected, atol=1e-5)


def test_sums_move_to_the_cpu_when_the_memory_of_the_device_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = plan_grid((6, 4, 4), (4, 4, 4), step_size=0.5)
    torch.manual_seed(3)
    windows = [torch.randn(2, 4, 4, 4) for _ in range(2)]
    expected, found = LogitSums(grid), LogitSums(grid)
    really = LogitSums._add

    def add(sums: LogitSums, number: int, logits: torch.Tensor) -> None:
        if sums._device.type == "cuda":
            raise torch.OutOfMemoryError
        really(sums, number, logits)

    monkeypatch.setattr(LogitSums, "_add", add)
    for number, logits in enumerate(windows):
        expected.add(number, logits)
        found._device = torch.device("cuda" if number == 1 else "cpu")
        found.add(number, logits)
    assert found.added == {0, 1}
    assert torch.equal(found.logits(), expected.logits())


def test_mirrors_one_axis() -> None:
    """The network returns the index along the axis, whose mirrored sum is constant."""
    places = torch.arange(5.0).expand(1, 1, 1, 5)
    found = mirrored(lambda windows: places + 0 * windows, torch.zeros(1, 1, 1, 5), (1,))
    assert found.flatten().tolist() == [2.0] * 5


def test_mirror_axes() -> None:
    def of(axes, *, use: bool) -> tuple[int, ...]:
        return mirror_axes_of(SimpleNamespace(allowed_mirroring_axes=axes, use_mirroring=use))

    assert of((0, 2), use=True) == (0, 2)
    assert of((0, 2), use=False) == of(None, use=True) == ()
