"""The wrapper that runs a network of slices over volumes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import nn

from benchmarks.slice_networks import peak_bytes
from nnunet_femur.networks import three_planes
from nnunet_femur.networks.oblique_planes import OBLIQUE
from nnunet_femur.networks.registry import build_slice_network, stride_of
from nnunet_femur.networks.three_planes import ThreePlaneNetwork
from tests.networks.test_oblique_planes import cut_by_scipy


class _PerPixel(nn.Module):
    """Logits that depend on the pixel alone: (x, -x)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert not any(n % 8 for n in x.shape[-2:]), "the wrapper pads to the stride"
        return torch.cat([x, -x], dim=1)


def _without_gradient(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return network(x)


class _Columns(nn.Module):
    """Logits that are the column's index in every row."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        columns = torch.arange(x.shape[-1], dtype=x.dtype).expand(x.shape[0], 1, *x.shape[-2:])
        return torch.cat([columns, torch.zeros_like(columns)], dim=1) / 100


def _volume() -> torch.Tensor:
    """Not cubic, odd in every axis, two in a batch."""
    return torch.randn(2, 1, 5, 9, 13, generator=torch.Generator().manual_seed(0))


class TestVolumes:
    @pytest.mark.parametrize("slices_at_once", [1, 4, 100])
    def test_a_network_of_pixels_gives_its_own_answer(
        self, slices_at_once: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The average of three equal predictions is that prediction only if no axis is swapped, no border lost."""
        monkeypatch.setattr(three_planes, "SLICE_PIXELS", 16 * 16)
        volume = _volume()
        wrapper = ThreePlaneNetwork(_PerPixel(), stride=8, slices_at_once=slices_at_once)
        expected = torch.cat([volume, -volume], dim=1).softmax(1)
        assert torch.allclose(wrapper(volume).exp(), expected, atol=1e-6)

    def test_padding_is_skipped(self) -> None:
        """Padding by nnU-Net changes no probability of the volume, is not predicted, and has equal probabilities."""
        volume = _volume()
        filled = torch.nn.functional.pad(volume, (2, 1, 0, 3, 4, 0))
        seen: list[tuple[int, ...]] = []
        network = _PerPixel()
        network.register_forward_hook(lambda _, inputs, __: seen.append(tuple(inputs[0].shape)))
        wrapper = ThreePlaneNetwork(network, stride=8)
        expected, slices = wrapper(volume), seen[:]
        found = wrapper(filled)
        assert seen == slices * 2
        assert torch.equal(found[..., 4:, :9, 2:-1], expected)
        assert torch.allclose(found[:, :, :4].exp(), torch.tensor(0.5))
        assert torch.allclose(wrapper(torch.zeros_like(volume)).exp(), torch.tensor(0.5)), "of this network"

    @pytest.mark.parametrize("neighbours", [0, 1])
    def test_equal_slices_at_both_ends_are_computed_once(
        self, neighbours: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Air around a patient, whose values resampling has rounded, against the computation of every slice."""
        torch.manual_seed(0)
        volume = torch.full((2, 1, 12, 10, 9), -1.5)
        volume[:, :, 4:9, 3:8, 2:9] = torch.randn(2, 1, 5, 5, 7)
        volume[0, 0, 1:3] += 1e-6
        volume[1, 0, 11, 0, 0] += 1e-3
        network = nn.Conv2d(1 + 2 * neighbours, 2, 3, padding=1).eval()
        seen: list[int] = []
        network.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
        wrapper = ThreePlaneNetwork(network, stride=8, in_bfloat16=False, neighbours=neighbours, slices_at_once=100)
        found, counts = wrapper(volume), seen[:]
        wrapper(torch.full((1, 1, 6, 7, 8), 0.3))
        assert seen[6:] == [1, 1, 1]
        monkeypatch.setattr(three_planes, "_distinct", lambda slices, _: slice(0, len(slices)))
        seen.clear()
        expected = wrapper(volume)
        assert seen == [12, 12, 10, 10, 9, 9]
        # Content at z 4 to 8, y 3 to 7 and x 2 to 8, and one equal slice at either end that has any; the second
        # volume has a voxel at z 11, y 0, x 0. With neighbours, one more.
        more = neighbours
        ends = [(3, 10), (3, 12), (2, 9), (0, 9), (1, 9), (0, 9)]
        sizes = [12, 12, 10, 10, 9, 9]
        assert counts == [
            (stop + more if stop < size else size) - (start - more if start else 0)
            for (start, stop), size in zip(ends, sizes, strict=True)
        ]
        assert torch.allclose(found.exp(), expected.exp(), atol=1e-5)

    def test_slices_that_change_very_slowly(self) -> None:
        """The first are equal to the first slice, the last to the last one, and some to both."""
        volume = (1 + 1.5e-6 * torch.arange(10)).reshape(1, 1, 10, 1, 1).expand(1, 1, 10, 6, 5).contiguous()
        found = ThreePlaneNetwork(_Columns(), axes=(0,), stride=8)(volume).exp()
        assert torch.allclose(found.sum(1), torch.ones(1, 10, 6, 5), atol=1e-5)

    @pytest.mark.parametrize(
        ("axis", "column_axis"),
        [(0, 2), (1, 2), (2, 1)],
        ids=["axial slices: columns are x", "coronal: x", "sagittal: y"],
    )
    def test_rows_and_columns_of_each_plane(self, axis: int, column_axis: int) -> None:
        volume = _volume()
        probability = ThreePlaneNetwork(_Columns(), axes=(axis,), stride=8)(volume).exp()[:, 0]
        shape = [1, 1, 1, 1]
        shape[1 + column_axis] = -1
        index = torch.arange(volume.shape[2 + column_axis], dtype=torch.float32).reshape(shape)
        assert torch.allclose(probability, torch.sigmoid(index / 100).expand_as(probability), atol=1e-6)

    def test_planes_are_averaged_as_probabilities(self) -> None:
        volume = _volume()
        together = ThreePlaneNetwork(_Columns(), stride=8)(volume).exp()
        alone = [ThreePlaneNetwork(_Columns(), axes=(axis,), stride=8)(volume).exp() for axis in range(3)]
        assert torch.allclose(together, torch.stack(alone).mean(0), atol=1e-6)

    def test_planes_may_count_differently(self) -> None:
        volume = _volume()
        together = ThreePlaneNetwork(_Columns(), weights=(2, 1, 1), stride=8)(volume).exp()
        z, y, x = (ThreePlaneNetwork(_Columns(), axes=(axis,), stride=8)(volume).exp() for axis in range(3))
        assert torch.allclose(together, (2 * z + y + x) / 4, atol=1e-6)

    @pytest.mark.parametrize("weights", [(1, 1), (0, 0, 0), (1, 1, -1)])
    def test_weights_that_cannot_be(self, weights: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="weights"):
            ThreePlaneNetwork(_Columns(), weights=weights)

    def test_equals_slice_by_slice(self) -> None:
        """A network that looks around in its slice, against a loop over slices that are cut with numpy."""
        torch.manual_seed(0)
        network = nn.Conv2d(1, 2, 3, padding=1).eval()
        volume = _volume()
        expected = torch.zeros(2, 2, 5, 9, 13)
        for b in range(2):
            for axis in range(3):
                for index in range(volume.shape[2 + axis]):
                    cut = torch.from_numpy(np.take(volume[b, 0].numpy(), index, axis=axis))
                    answer = network(cut[None, None]).softmax(1)[0] / 3
                    expected[(b, slice(None), *([slice(None)] * axis), index)] += answer
        # Beyond the border of a slice there is zero, with and without the wrapper's padding.
        found = ThreePlaneNetwork(network, stride=8, in_bfloat16=False)(volume).exp()
        assert torch.allclose(found, expected, atol=1e-6)

    def test_bfloat16_gives_nearly_the_same(self) -> None:
        torch.manual_seed(0)
        network = nn.Conv2d(1, 2, 3, padding=1).eval()
        volume = _volume()
        exact, lower = (
            ThreePlaneNetwork(network, stride=1, in_bfloat16=low).eval()(volume).exp() for low in (False, True)
        )
        assert lower.dtype == torch.float32
        assert not torch.equal(exact, lower)
        assert torch.allclose(exact, lower, atol=0.02)

    def test_narrow_slices_stay_exact(self) -> None:
        """Those with one column at the network's stride, for which bfloat16 is broken on some processors."""
        seen: list[tuple[int, torch.dtype]] = []
        network = nn.Conv2d(1, 2, 1)
        network.register_forward_hook(lambda _, x, y: seen.append((x[0].shape[-1], y.dtype)))
        _without_gradient(ThreePlaneNetwork(network, stride=8, in_bfloat16=True).eval(), torch.randn(1, 1, 12, 9, 6))
        # Axial and coronal slices have 6 columns, sagittal ones 9.
        assert seen == [(8, torch.float32), (8, torch.float32), (16, torch.bfloat16)]

    @pytest.mark.parametrize("size", [(40, 30, 20), (20, 70, 33)])
    def test_bfloat16_gives_the_same_answer_each_time(self, size: tuple[int, ...]) -> None:
        torch.manual_seed(0)
        network = build_slice_network("Unet", "ResNet34", in_channels=1, classes=2).eval()
        wrapper = ThreePlaneNetwork(network, stride=stride_of(network), in_bfloat16=True).eval()
        volume = torch.randn(1, 1, *size)
        first, *again = (_without_gradient(wrapper, volume) for _ in range(3))
        assert torch.isfinite(first).all()
        assert all(torch.equal(first, answer) for answer in again)

    def test_training_stays_exact(self) -> None:
        network = nn.Conv2d(1, 2, 3, padding=1)
        slices = torch.randn(1, 1, 32, 32)
        assert torch.equal(ThreePlaneNetwork(network, in_bfloat16=True).train()(slices), network(slices))

    def test_memory_does_not_grow_with_the_volume(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beside the volume and its answer; weighed on the meta device, where tensors have sizes and no content."""
        monkeypatch.setattr(three_planes, "_content", lambda _: [slice(None)] * 3)
        monkeypatch.setattr(three_planes, "_distinct", lambda slices, _: slice(0, len(slices)))
        network = build_slice_network("Unet", "ResNet34", in_channels=1, classes=2).eval().to("meta")
        wrapper = ThreePlaneNetwork(network, stride=stride_of(network), slices_at_once=4)
        one_pass = peak_bytes(lambda: _without_gradient(network, torch.empty(4, 1, 256, 256, device="meta")))
        for shape in ((30, 336, 256), (60, 336, 256), (8, 512, 512)):
            volume = torch.empty(1, 1, *shape, device="meta")
            peak = peak_bytes(lambda volume=volume: wrapper(volume))
            volume_and_answer = (1 + 2) * 4 * volume.numel()
            assert volume_and_answer < peak < volume_and_answer + 1.1 * one_pass

    def test_a_sure_answer_stays_finite_in_half_precision(self) -> None:
        sure = ThreePlaneNetwork(_PerPixel(), stride=8)(torch.full((1, 1, 8, 8, 8), 1e4))
        # nnU-Net multiplies by a weight of up to 10 and adds in half precision.
        assert torch.isfinite((sure * 10).half()).all()


class TestObliquePlanes:
    ALL = tuple(range(9))

    def test_a_network_of_pixels_gives_its_own_answer(self) -> None:
        """For a constant volume, since interpolation does not change a constant."""
        volume = torch.full((1, 1, 7, 9, 13), 0.3)
        wrapper = ThreePlaneNetwork(_PerPixel(), axes=self.ALL, stride=8, scale=(2.0, 1.0, 1.0))
        found = wrapper(volume).exp()[:, 0]
        # The sides of oblique slices are interpolated between the volume and the zeros around it.
        assert torch.allclose(found[:, 1:-1, 2:-2, 2:-2], torch.sigmoid(torch.tensor(0.6)), atol=1e-5)

    @pytest.mark.parametrize("slices_at_once", [1, 5, 100])
    @pytest.mark.parametrize("neighbours", [0, 1])
    def test_equals_slice_by_slice(self, slices_at_once: int, neighbours: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """A network that looks around, against a loop over slices that SciPy cuts and puts back."""
        monkeypatch.setattr(three_planes, "SLICE_PIXELS", 24 * 16)
        torch.manual_seed(0)
        network = nn.Conv2d(1 + 2 * neighbours, 2, 3, padding=1).eval()
        volume = torch.randn(1, 1, 9, 14, 11)
        for number in OBLIQUE:
            wrapper = ThreePlaneNetwork(
                network,
                axes=(number,),
                stride=8,
                in_bfloat16=False,
                neighbours=neighbours,
                slices_at_once=slices_at_once,
            )
            found = wrapper(volume).exp()[0]
            expected = _oblique_by_scipy(network, volume[0, 0].numpy(), number, neighbours)
            assert np.allclose(found, expected, atol=1e-5)

    def test_planes_are_averaged(self) -> None:
        torch.manual_seed(0)
        network, volume = nn.Conv2d(1, 2, 3, padding=1).eval(), _volume()
        weights = (1, 0, 2, 0, 0, 0, 0, 0, 3)
        together = ThreePlaneNetwork(network, axes=self.ALL, weights=weights, stride=1, in_bfloat16=False)(volume).exp()
        alone = [ThreePlaneNetwork(network, axes=(n,), stride=1, in_bfloat16=False)(volume).exp() for n in (0, 2, 8)]
        assert torch.allclose(together, (alone[0] + 2 * alone[1] + 3 * alone[2]) / 6, atol=1e-6)


def _oblique_by_scipy(network: nn.Module, volume: np.ndarray, number: int, neighbours: int) -> np.ndarray:
    """Return the probabilities (classes, z, y, x) of one oblique plane."""
    plane = OBLIQUE[number]
    grid = plane.grid(volume.shape, (1.0, 1.0, 1.0))
    cut, inside = cut_by_scipy(volume, grid, order=1)
    cut = np.where(inside, cut, 0)
    cut = cut if plane.has_rows_along else cut.swapaxes(1, 2)
    answers = []
    for index in range(grid.count):
        around = np.arange(index - neighbours, index + neighbours + 1).clip(0, grid.count - 1)
        with torch.no_grad():
            answer = network(torch.from_numpy(cut[around][None].astype(np.float32))).softmax(1)[0].numpy()
        answers.append(answer if plane.has_rows_along else answer.swapaxes(1, 2))
    places = np.indices(volume.shape)
    across, within = grid.pixels(places[plane.along], places[plane.across])
    where = [across, within, places[plane.third]]
    return np.stack([map_coordinates(np.stack(answers)[:, c], where, order=1, mode="nearest") for c in range(2)])


class TestWeights:
    def test_planes_without_weight_are_not_computed(self) -> None:
        seen: list[tuple[int, ...]] = []
        network = _PerPixel()
        network.register_forward_hook(lambda _, x, __: seen.append(tuple(x[0].shape)))
        ThreePlaneNetwork(network, weights=(0, 1, 0), stride=8)(_volume())
        assert {shape[0] for shape in seen} == {9}

    def test_learned_weights_are_part_of_the_state(self) -> None:
        """So that a checkpoint brings its own, and the checkpoints of other networks stay as they are."""
        volume, first, second = (
            _volume(),
            *(ThreePlaneNetwork(_Columns(), stride=8, learns_weights=True) for _ in range(2)),
        )
        assert first.weights == pytest.approx((1 / 3, 1 / 3, 1 / 3))
        first.set_weights((2, 1, 1))
        second.load_state_dict(first.state_dict())
        assert second.weights == pytest.approx((0.5, 0.25, 0.25))
        expected = ThreePlaneNetwork(_Columns(), weights=(2, 1, 1), stride=8)
        assert torch.allclose(second(volume), expected(volume), atol=1e-6)
        assert not expected.state_dict()
        with pytest.raises(ValueError, match="fixed"):
            expected.set_weights((1, 1, 1))

    def test_one_plane_alone(self) -> None:
        volume, network = _volume(), ThreePlaneNetwork(_Columns(), stride=8)
        alone = ThreePlaneNetwork(_Columns(), axes=(1,), stride=8)(volume).exp()
        assert torch.allclose(network.probabilities_of_plane(volume, 1), alone, atol=1e-6)


class TestSlices:
    def test_logits_are_those_of_the_network(self) -> None:
        slices = torch.randn(3, 1, 9, 13)
        assert torch.equal(ThreePlaneNetwork(_PerPixel(), stride=8)(slices), torch.cat([slices, -slices], dim=1))

    def test_gradients_reach_the_network(self) -> None:
        network = nn.Conv2d(1, 2, 3, padding=1)
        ThreePlaneNetwork(network, stride=8)(torch.randn(2, 1, 9, 13)).sum().backward()
        assert network.weight.grad is not None
        assert network.weight.grad.abs().sum() > 0
