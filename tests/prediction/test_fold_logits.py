"""Windows around the femur only: the same logits there as from all windows, whatever the localiser finds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from nnunet_femur.errors import SetupError
from nnunet_femur.networks.three_planes import ThreePlaneNetwork
from nnunet_femur.prediction.fold_logits import _compact, logits_of_folds
from nnunet_femur.prediction.localisation import MARGIN_MM
from nnunet_femur.prediction.search_record import AROUND_FEMUR, CROP_MODEL, EVERYWHERE, OWN_WINDOWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nnunet_femur.imaging.boxes import Box
    from nnunet_femur.prediction.box_logits import FoldLogits
    from nnunet_femur.prediction.coarse_blocks import Blocks

SPACING_MM = (6.0, 5.0, 5.0)
SHAPE = (90, 60, 70)
SOFT, OTHER_BONE, FEMUR = 0.0, 200.0, 400.0
ABOVE = 300.0


class Blurred:
    """A network that takes bright voxels for femur; its zero padding makes windows differ at their edges."""

    def __init__(self, channels: int = 2) -> None:
        self.channels, self.calls, self.loads = channels, 0, 0

    def load(self, parameters: dict[str, torch.Tensor]) -> None:
        self.loads += 1
        self.above = float(parameters["above"])

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        pool = torch.nn.functional.avg_pool3d if windows.ndim == 5 else torch.nn.functional.avg_pool2d
        mean = (0.8 * windows + 0.2 * pool(windows, 3, 1, 1))[:, 0]
        logits = torch.zeros(len(windows), self.channels, *windows.shape[2:])
        logits[:, -1 if self.channels == 1 else 1] = (mean - self.above) / 37
        if self.channels > 2:
            logits[:, 2] = logits[:, 1] + (250 - mean) / 11
        return logits


class ThreePlanes(Blurred):
    """The same in slices across each axis, averaged as a network of three planes does."""

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        flat = Blurred(self.channels)
        flat.above = self.above
        slices = torch.nn.Identity()
        slices.forward = flat.__call__
        return ThreePlaneNetwork(slices, stride=1, in_bfloat16=False)(windows)


def _predictor(
    patch: Sequence[int], *, above: Sequence[float] = (ABOVE,), axes: tuple[int, ...] = (), regions: bool = False
) -> Any:
    return SimpleNamespace(
        configuration_manager=SimpleNamespace(
            patch_size=list(patch), configuration={"normalization_schemes": ["NoNormalization"]}
        ),
        tile_step_size=0.5,
        list_of_parameters=[{"above": torch.tensor(each)} for each in above],
        label_manager=SimpleNamespace(has_regions=regions),
        allowed_mirroring_axes=axes or None,
        use_mirroring=True,
    )


def _ct(*femurs: tuple[slice, slice, slice], shape: tuple[int, ...] = SHAPE) -> torch.Tensor:
    """Soft tissue with another bone through the whole volume, and femurs in boxes."""
    torch.manual_seed(1)
    data = SOFT + 20 * torch.randn(1, *shape)
    data[0, :, -9:-3, -9:-3] = OTHER_BONE
    for each in femurs:
        data[(0, *each)] = FEMUR + 5 * torch.randn(data[(0, *each)].shape)
    return data


LEFT = (slice(20, 70), slice(10, 17), slice(8, 14))
RIGHT = (slice(25, 60), slice(10, 17), slice(45, 51))
AT_BORDER = (slice(0, 30), slice(0, 7), slice(64, 70))
PATCH = (16, 16, 16)

CASES: dict[str, tuple[torch.Tensor, dict[str, Any], int]] = {
    "one leg": (_ct(LEFT), {"patch": PATCH}, 2),
    "two legs": (_ct(LEFT, RIGHT), {"patch": PATCH}, 2),
    "at the border": (_ct(AT_BORDER), {"patch": PATCH}, 2),
    "three channels": (_ct(LEFT), {"patch": PATCH}, 3),
    "regions": (_ct(LEFT), {"patch": PATCH, "regions": True}, 1),
    "mirrored": (_ct(LEFT), {"patch": PATCH, "axes": (0, 2)}, 2),
    "three folds": (_ct(LEFT, RIGHT), {"patch": PATCH, "above": (310.0, 300.0, 320.0)}, 2),
    "slices": (_ct(LEFT), {"patch": (24, 24)}, 2),
    "three planes": (_ct(LEFT), {"patch": PATCH, "network": ThreePlanes}, 2),
    "smaller than a window along one axis": (_ct(LEFT, shape=(90, 60, 24)), {"patch": (16, 16, 32)}, 2),
}


def _mask(logits: torch.Tensor, channels: int) -> np.ndarray:
    return (logits[0] > 0).numpy() if channels == 1 else (logits.argmax(0) == 1).numpy()


def _computed(
    data: torch.Tensor, settings: dict[str, Any], channels: int, **options: Any
) -> tuple[FoldLogits, Blurred]:
    settings = dict(settings)
    network = settings.pop("network", Blurred)(channels)
    predictor = _predictor(settings.pop("patch"), **settings)
    femur = (0,) if channels == 1 else (1,)
    found = logits_of_folds(predictor, network, data, spacing_mm=SPACING_MM, femur=femur, **options)
    return found, network


@pytest.mark.parametrize("name", CASES)
def test_logits_are_those_of_all_windows_within_25_mm_of_the_femur(name: str) -> None:
    data, settings, channels = CASES[name]
    (all_of_it, _), (found, network) = (_computed(data, settings, channels, exhaustive=each) for each in (True, False))
    assert all_of_it.search.region == EVERYWHERE
    assert all_of_it.search.windows == all_of_it.search.windows_of_grid
    regions = settings.get("regions", False)
    folds = list(zip(all_of_it.values, found.filled(regions=regions).values, strict=True))
    femur = np.any([_mask(expected, channels) for expected, _ in folds], axis=0)
    assert femur.any()
    near = torch.from_numpy(ndimage.distance_transform_edt(~femur, sampling=SPACING_MM) <= MARGIN_MM)
    for expected, logits in folds:
        assert torch.equal(logits[:, near], expected[:, near])
        assert not (_mask(logits, channels) & ~near.numpy()).any()
    search = found.search
    assert (search.region, search.localisers, search.found) == (AROUND_FEMUR, (OWN_WINDOWS,), True)
    assert search.windows < 0.65 * search.windows_of_grid
    assert network.calls == search.windows * 2 ** len(settings.get("axes", ()))
    assert network.loads == len(found.values)


class Batched(Blurred):
    """A backend for several windows at once, whose memory may be too small."""

    batch = 5

    def __init__(self, *, too_small: bool = False) -> None:
        super().__init__()
        self.too_small, self.sizes = too_small, set[int]()
        self.free_memory: Any = None

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        self.sizes.add(len(windows))
        if self.too_small and not self.free_memory():
            msg = "CUDA out of memory"
            raise torch.OutOfMemoryError(msg)
        return super().__call__(windows)


class TestBatches:
    def test_have_the_logits_of_single_windows(self) -> None:
        data, predictor = _ct(LEFT), _predictor(PATCH, axes=(1,))
        networks = Blurred(), Batched()
        single, batched = (
            logits_of_folds(predictor, network, data, spacing_mm=SPACING_MM, femur=(1,)) for network in networks
        )
        assert torch.equal(single.values[0], batched.values[0])
        assert single.search == batched.search
        assert 5 in networks[1].sizes
        assert max(networks[1].sizes) == 5

    def test_whose_memory_is_freed_keep_what_was_computed(self) -> None:
        """Windows that were kept are moved while others are computed, and are used once."""

        class Freeing(Batched):
            def __call__(self, windows: torch.Tensor) -> torch.Tensor:
                self.free_memory()
                return super().__call__(windows)

        data, predictor = _ct(LEFT), _predictor(PATCH)
        seen: list[tuple[int, int]] = []
        found = logits_of_folds(
            predictor,
            Freeing(),
            data,
            spacing_mm=SPACING_MM,
            femur=(1,),
            on_window=lambda done, total: seen.append((done, total)),
        )
        expected = logits_of_folds(predictor, Batched(), data, spacing_mm=SPACING_MM, femur=(1,))
        assert torch.equal(found.values[0], expected.values[0])
        assert seen[-1] == (found.search.windows,) * 2

    def test_of_a_network_that_does_not_fit(self) -> None:
        network = Batched(too_small=True)
        with pytest.raises(SetupError) as caught:
            logits_of_folds(_predictor(PATCH), network, _ct(LEFT), spacing_mm=SPACING_MM, femur=(1,))
        assert caught.value.code == "no-device"
        assert network.free_memory is None


def test_kept_windows_do_not_keep_their_batch() -> None:
    batch = torch.randn(4, 2, 3)
    for values in (batch[1], batch):
        found = _compact(values)
        assert torch.equal(found, values)
        assert found.untyped_storage().nbytes() == values.nbytes


class Crop:
    """A localiser that returns the blocks around a box."""

    def __init__(self, box: tuple[slice, ...] | None) -> None:
        self.box = box

    def region(self, blocks: Blocks, inside: Box) -> np.ndarray | None:
        assert blocks.shape == SHAPE
        if self.box is None:
            return None
        found = np.zeros(blocks.counts, bool)
        found[blocks.of_box(self.box)] = True
        return blocks.dilated(found, MARGIN_MM)


class TestCropModel:
    """TotalSegmentator's 6 mm model in place of the model's own windows."""

    @pytest.fixture(autouse=True)
    def soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("nnunet_femur.prediction.fold_logits.CROP_MODEL_FROM", 4)

    def _equal(self, box: tuple[slice, ...] | None) -> FoldLogits:
        data, settings, channels = CASES["one leg"]
        expected, _ = _computed(data, settings, channels, exhaustive=True)
        found, _ = _computed(data, settings, channels, crop=Crop(box))
        assert np.array_equal(_mask(found.filled().values[0], channels), _mask(expected.values[0], channels))
        return found

    def test_replaces_them(self) -> None:
        search = self._equal(LEFT).search
        assert (search.region, search.localisers, search.widened) == (AROUND_FEMUR, (CROP_MODEL,), 0)

    def test_needs_fewer_windows(self) -> None:
        data, settings, channels = CASES["one leg"]
        own, _ = _computed(data, settings, channels)
        assert self._equal(LEFT).search.windows < own.search.windows

    def test_that_finds_a_part_is_widened_along_the_bone(self) -> None:
        search = self._equal((slice(40, 44), *LEFT[1:])).search
        assert search.widened >= 2
        assert search.found

    def test_that_finds_nothing_is_followed_by_the_own_windows(self) -> None:
        search = self._equal(None).search
        assert (search.region, search.localisers, search.found) == (AROUND_FEMUR, (CROP_MODEL, OWN_WINDOWS), True)

    def test_that_finds_another_place_leads_to_a_search_everywhere(self) -> None:
        search = self._equal((slice(80, 84), slice(50, 54), slice(60, 64))).search
        assert (search.region, search.found) == (EVERYWHERE, False)
        assert search.windows == search.windows_of_grid

    def test_is_not_used_for_few_windows(self) -> None:
        data, settings, channels = CASES["one leg"]
        found, _ = _computed(data, settings | {"patch": (64, 60, 70)}, channels, crop=Crop(LEFT))
        assert CROP_MODEL not in found.search.localisers


def test_a_fold_that_sees_more_widens_the_region_of_all_folds() -> None:
    """The first fold sees only the half of the femur that is denser."""
    data = _ct(LEFT)
    data[0, :40] -= 60 * (data[0, :40] > 350)
    settings = {"patch": PATCH, "above": (370.0, 300.0)}
    expected, _ = _computed(data, settings, 2, exhaustive=True)
    found, network = _computed(data, settings, 2)
    assert found.search.widened >= 1
    assert network.loads == 3
    for ours, theirs in zip(found.filled().values, expected.values, strict=True):
        assert np.array_equal(_mask(ours, 2), _mask(theirs, 2))


def test_nothing_there_is_searched_everywhere() -> None:
    data, settings, channels = _ct(), {"patch": PATCH}, 2
    expected, _ = _computed(data, settings, channels, exhaustive=True)
    found, network = _computed(data, settings, channels)
    search = found.search
    assert (search.region, search.localisers, search.found) == (EVERYWHERE, (OWN_WINDOWS,), False)
    assert search.windows == search.windows_of_grid == network.calls
    assert torch.equal(found.values[0], expected.values[0])


def test_a_femur_smaller_than_a_speck_is_found_by_searching_everywhere() -> None:
    data = _ct((slice(40, 41), slice(20, 22), slice(20, 22)))
    found, _ = _computed(data, {"patch": PATCH}, 2)
    assert not found.search.found
    assert _mask(found.values[0], 2).sum() == 4


def test_specks_do_not_widen_and_are_not_femur() -> None:
    speck = (slice(80, 81), slice(40, 42), slice(20, 22))
    found, _ = _computed(_ct(LEFT, speck), {"patch": PATCH}, 2)
    alone, _ = _computed(_ct(LEFT), {"patch": PATCH}, 2)
    assert found.search == alone.search
    assert not _mask(found.filled().values[0], 2)[speck].any()


def test_one_window_is_computed_as_by_nnunet() -> None:
    found, network = _computed(_ct(LEFT), {"patch": (96, 64, 72)}, 2)
    assert network.calls == 1
    assert (found.search.region, found.search.localisers, found.search.found) == (EVERYWHERE, (), True)


def test_without_hu_windows_without_bone_are_searched_too() -> None:
    data, settings, channels = CASES["one leg"]
    in_hu, other = (_computed(data, settings, channels, in_hu=each)[0] for each in (True, False))
    assert other.search.windows > in_hu.search.windows
    assert torch.equal(other.filled().values[0], in_hu.filled().values[0])


def test_memory_for_kept_windows_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that were not kept are computed again, or kept in half precision."""
    data, settings, channels = CASES["one leg"]
    expected, _ = _computed(data, settings, channels)
    monkeypatch.setattr("nnunet_femur.prediction.fold_logits._KEPT_BYTES", 10 * 4 * channels * 16**3)
    found, network = _computed(data, settings, channels)
    assert network.calls == found.search.windows >= expected.search.windows
    assert np.array_equal(_mask(found.values[0], 2), _mask(expected.values[0], 2))


@pytest.mark.parametrize("name", ["one leg", "three folds", "mirrored"])
def test_progress_ends_at_its_total(name: str) -> None:
    data, settings, channels = CASES[name]
    seen: list[tuple[int, int]] = []
    found, _ = _computed(data, settings, channels, on_window=lambda done, total: seen.append((done, total)))
    done, totals = zip(*seen, strict=True)
    assert list(done) == sorted(set(done))
    assert all(a <= b for a, b in seen)
    passes = 2 ** len(settings.get("axes", ()))
    assert seen[-1] == (found.search.windows * passes,) * 2
    assert totals[0] == found.search.windows_of_grid * passes
