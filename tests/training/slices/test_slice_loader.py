"""The loader of slices: exact passes with any number of workers, and the window of a slice."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter

from nnunet_femur.networks.three_planes import ThreePlaneNetwork
from nnunet_femur.training.slices.slice_loader import SliceLoader, open_case_limit
from nnunet_femur.training.slices.slice_order import SliceOrder, find_slices
from nnunet_femur.training.slices.slice_window import SliceWindow, place_window

if TYPE_CHECKING:
    from pathlib import Path

# Workers that end while a batch of theirs is on its way leave a message of batchgenerators' thread behind.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

SHAPE = (7, 9, 6)


class _Cases:
    """Stands in for nnU-Net's dataset: voxel z, y, x of case n holds 10,000 (n + 1) + 1000 z + 100 y + x."""

    def __init__(self, masks: list[np.ndarray]) -> None:
        self.identifiers = [f"case{n}" for n in range(len(masks))]
        self.masks = masks

    def load_case(self, identifier: str) -> tuple[Any, ...]:
        number = self.identifiers.index(identifier)
        z, y, x = np.indices(self.masks[number].shape)
        image = (10000 * (number + 1) + 1000 * z + 100 * y + x).astype(np.float32)
        return image[None], self.masks[number][None].astype(np.int8), None, {}


def _as_they_are(image: torch.Tensor, segmentation: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"image": image, "segmentation": segmentation}


def _noisy(image: torch.Tensor, segmentation: torch.Tensor) -> dict[str, torch.Tensor]:
    """Uses both generators that nnU-Net's transforms use."""
    return {"image": image + torch.rand(1) + np.random.uniform(), "segmentation": segmentation}  # noqa: NPY002


def _cases() -> _Cases:
    masks = [np.random.default_rng(seed).random(SHAPE) > 0.9 for seed in range(3)]
    masks[1][0], masks[1][:, 0] = False, False
    return _Cases(masks)


def _loader(
    cases: _Cases,
    *,
    axes: tuple[int, ...] = (0, 1, 2),
    window: SliceWindow | None = None,
    per_batch: int = 8,
    iterations: int | None = None,
    transforms: Any = _as_they_are,
    **options: Any,
) -> SliceLoader:
    table = find_slices(cases.masks, axes)
    return SliceLoader(
        cases,
        table=table,
        order=SliceOrder(len(table), per_batch=per_batch, iterations=iterations, seed=5),
        axes=axes,
        window=window or SliceWindow(size=(9, 9)),
        transforms=transforms,
        **{"others": 0, **options},
    )


def _augmenter(loader: SliceLoader, workers: int) -> Any:
    if workers == 0:
        return SingleThreadedAugmenter(loader, None)
    return MultiThreadedAugmenter(loader, None, num_processes=workers, wait_time=0.002)


def _take(cases: _Cases, workers: int, count: int, **options: Any) -> list[dict[str, Any]]:
    augmenter = _augmenter(_loader(cases, workers=workers, **options), workers)
    batches = [next(augmenter) for _ in range(count)]
    if workers:
        augmenter._finish()
    return batches


def _which(image: np.ndarray) -> tuple[int, int, int]:
    """Case, axis and index of a slice, read from its voxels; the padding is 0."""
    numbers = image[image > 0].astype(int)
    case, rest = numbers // 10000 - 1, numbers % 10000
    places = np.stack((rest // 1000, rest // 100 % 10, rest % 100))
    (axis,) = np.flatnonzero((places == places[:, :1]).all(axis=1))
    return int(case[0]), int(axis), int(places[axis, 0])


def _first_row(image: torch.Tensor) -> tuple[float, ...]:
    return tuple(image[0, 0].tolist())


class TestOnePass:
    @pytest.mark.parametrize("workers", [0, 1, 2])
    def test_every_slice_with_femur_exactly_once_an_epoch(self, workers: int) -> None:
        cases = _cases()
        expected = sorted(
            (case, axis, index)
            for case, mask in enumerate(cases.masks)
            for axis in range(3)
            for index in range(SHAPE[axis])
            if np.take(mask, index, axis=axis).any()
        )
        count = _loader(cases).order.batches_per_epoch
        batches = _take(cases, workers, 2 * count)
        for epoch in (batches[:count], batches[count:]):
            seen = sorted(_which(image[0].numpy()) for batch in epoch for image in batch["data"])
            assert seen == expected

    def test_batches_are_the_same_with_any_number_of_workers(self) -> None:
        runs = [
            _take(_cases(), workers, 9, transforms=_noisy, others=3, iterations=5, window=SliceWindow(size=(4, 4)))
            for workers in (0, 1, 2)
        ]
        for first, *others in zip(*runs, strict=True):
            for other in others:
                assert torch.equal(first["data"], other["data"])
                assert torch.equal(first["target"], other["target"])
                assert first["keys"] == other["keys"]

    def test_reading_ahead_changes_nothing(self) -> None:
        loader = _loader(_cases(), transforms=_noisy, others=2)
        loader.read_ahead()
        for expected in _take(_cases(), 0, 5, transforms=_noisy, others=2):
            found = next(loader)
            assert torch.equal(found["data"], expected["data"])
            assert torch.equal(found["target"], expected["target"])
            assert found["keys"] == expected["keys"]

    def test_a_failure_of_reading_ahead_shows(self) -> None:
        cases = _cases()
        loader = _loader(cases)
        loader.read_ahead()
        next(loader)
        cases.masks = []
        with pytest.raises(IndexError):
            [next(loader) for _ in range(2)]

    def test_a_resumed_run_goes_on_where_it_was(self) -> None:
        whole = _take(_cases(), 0, 8, transforms=_noisy)
        resumed = _take(_cases(), 0, 3, transforms=_noisy, first=5)
        assert all(torch.equal(a["data"], b["data"]) for a, b in zip(whole[5:], resumed, strict=True))

    @pytest.mark.parametrize("ranks", [2, 3, 5])
    def test_several_processes_share_the_batches_of_one(self, ranks: int) -> None:
        """Order, windows and augmentation included; their weights make the mean over processes that over slices."""
        options: dict[str, Any] = {"transforms": _noisy, "others": 3, "window": SliceWindow(size=(4, 4))}
        alone = _take(_cases(), 0, 4, **options)
        parts = [_take(_cases(), 0, 4, rank=rank, ranks=ranks, **options) for rank in range(ranks)]
        for number, whole in enumerate(alone):
            part = [one[number] for one in parts]
            sizes = [len(one["data"]) for one in part]
            assert sum(sizes) == len(whole["data"])
            assert max(sizes) - min(sizes) <= 1
            for rank, one in enumerate(part):
                assert torch.equal(one["data"], whole["data"][rank::ranks])
                assert torch.equal(one["target"], whole["target"][rank::ranks])
                assert one["keys"] == whole["keys"][rank::ranks]
                assert one["weight"] == pytest.approx(len(one["data"]) / (len(whole["data"]) / ranks))
            mean = np.mean([one["weight"] * one["data"].mean() for one in part])
            assert mean == pytest.approx(float(whole["data"].mean()))
            assert whole["weight"] == 1

    def test_the_generators_of_the_process_are_left_alone(self) -> None:
        states = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
        _take(_cases(), 0, 2, transforms=_noisy)
        assert np.array_equal(np.random.get_state()[1], states[0])  # noqa: NPY002
        assert torch.equal(torch.get_rng_state(), states[1])


class TestWindow:
    def test_image_and_mask_agree_and_padding_is_marked(self) -> None:
        cases = _cases()
        (batch,) = _take(cases, 0, 1, per_batch=64, iterations=1)
        for image, mask in zip(batch["data"][:, 0].numpy(), batch["target"][:, 0].numpy(), strict=True):
            case, axis, index = _which(image)
            inside = image > 0
            assert (mask[~inside] == -1).all()
            rows = np.flatnonzero(inside.any(axis=1))
            columns = np.flatnonzero(inside.any(axis=0))
            truth = np.take(cases.masks[case], index, axis=axis)
            assert np.array_equal(mask[np.ix_(rows, columns)], truth)

    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_the_femur_is_shown_as_far_as_the_window_reaches(self, axis: int) -> None:
        mask = np.zeros((40, 30, 20), dtype=bool)
        mask[3:9, 24:28, 5:8] = True
        (batch,) = _take(
            _Cases([mask]), 0, 1, axes=(axis,), per_batch=40, iterations=1, window=SliceWindow(size=(8, 8))
        )
        shown = (batch["target"] == 1).sum((1, 2, 3))
        assert (shown == np.take(mask, [24 if axis == 1 else 5], axis=axis).sum()).all()

    def test_only_slices_without_a_share_are_drawn_from_everywhere(self) -> None:
        mask = np.zeros((40, 4, 4), dtype=bool)
        mask[:3] = True
        (batch,) = _take(_Cases([mask]), 0, 1, axes=(0,), per_batch=4, others=28, iterations=1)
        has_femur = (batch["target"] == 1).any(-1).any(-1)[:, 0]
        assert has_femur[:4].all()
        assert not has_femur[4:].all()

    def test_a_margin_for_the_transforms_reaches_beyond_the_border(self) -> None:
        """Any 4 x 4 of a slice of 9 x 6 is seen; the margin of 2 around it may lie beyond the image."""
        starts = set()
        for batch in _take(_cases(), 0, 12, axes=(0,), window=SliceWindow(size=(4, 4), margin=(4, 4))):
            assert batch["data"].shape[2:] == (8, 8)
            for image in batch["data"][:, 0]:
                seen = image[2:6, 2:6]
                assert (seen > 0).all(), "what the network sees lies within the image"
                starts.add(int(seen[0, 0]) % 1000)
        assert {0, 502} <= starts, "corners of the image are seen"


class TestMillimetres:
    """Voxels of 6 x 3 x 3 mm, pixels of 3 mm: a slice of 8 x 4 pixels covers 24 x 12 mm in every plane."""

    WINDOW = SliceWindow(size=(8, 4), scale=(2.0, 1.0, 1.0))

    @pytest.mark.parametrize(("axis", "voxels"), [(0, (8, 4)), (1, (4, 4)), (2, (4, 4))])
    def test_voxels_of_a_slice(self, axis: int, voxels: tuple[int, int]) -> None:
        assert self.WINDOW.voxels((8, 4), axis) == voxels

    def test_coronal_rows_are_doubled(self) -> None:
        mask = np.zeros((4, 5, 4), dtype=bool)
        mask[1, 2, 3] = True
        (batch,) = _take(_Cases([mask]), 0, 1, axes=(1,), per_batch=1, iterations=1, window=self.WINDOW)
        image, target = batch["data"][0, 0], batch["target"][0, 0]
        # Voxel z lies behind the rows 2z and 2z + 1, whose centres are a quarter of a voxel before and behind its own.
        z = torch.tensor([0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0])
        assert torch.allclose(image, 10000 + 1000 * z[:, None] + 200 + torch.arange(4), atol=0.01)
        assert target.nonzero().tolist() == [[2, 3], [3, 3]]

    def test_axial_slices_are_as_they_are(self) -> None:
        mask = np.zeros((4, 8, 4), dtype=bool)
        mask[1] = True
        (batch,) = _take(_Cases([mask]), 0, 1, axes=(0,), per_batch=1, iterations=1, window=self.WINDOW)
        y, x = np.indices((8, 4))
        assert np.array_equal(batch["data"][0, 0], 11000 + 100 * y + x)

    def test_prediction_sees_the_same_pixels(self) -> None:
        """Of a volume of 4 x 5 x 4 voxels the network sees 8 rows in coronal and sagittal slices, 5 in axial ones."""
        cases, seen = _Cases([np.ones((4, 5, 4), dtype=bool)]), []

        class Looks(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                seen.append(x)
                return x.new_zeros((len(x), 2, *x.shape[2:]))

        volume = torch.from_numpy(cases.load_case("case0")[0])[None]
        answer = ThreePlaneNetwork(Looks(), stride=1, scale=(2.0, 1.0, 1.0), in_bfloat16=False)(volume)
        assert [tuple(x.shape) for x in seen] == [(4, 1, 5, 4), (5, 1, 8, 4), (4, 1, 8, 5)]
        assert answer.shape == (1, 2, 4, 5, 4)
        (batch,) = _take(cases, 0, 1, axes=(1,), per_batch=5, window=self.WINDOW)
        trained = {_first_row(image): image for image in batch["data"]}
        predicted = {_first_row(image): image for image in seen[1]}
        assert trained.keys() == predicted.keys()
        assert all(torch.allclose(trained[key], predicted[key]) for key in trained)

    def test_the_answer_comes_back_on_the_voxels(self) -> None:
        """A network whose answer is linear in its input: resized and back, voxels in the middle keep their own."""

        class Linear(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return torch.cat((x, 1 - x), dim=1).clamp_min(1e-3).log()

        ramp = torch.linspace(0.1, 0.9, 9)[:, None, None].expand(9, 5, 4)[None, None].contiguous()
        network = ThreePlaneNetwork(Linear(), axes=(1, 2), stride=1, scale=(2.5, 1.0, 1.0), in_bfloat16=False)
        found = network(ramp).exp()[0, 0]
        assert torch.allclose(found[1:-1], ramp[0, 0, 1:-1], atol=0.01)


class TestNeighbours:
    def test_channels_are_the_slice_before_itself_and_behind(self) -> None:
        mask = np.ones((3, 4, 4), dtype=bool)
        loader = _loader(_Cases([mask]), axes=(2,), window=SliceWindow(size=(3, 4), neighbours=1), per_batch=4)
        for image in next(loader)["data"]:
            column = [int(channel[0, 0]) % 100 for channel in image]
            assert column in ([0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]), "at the ends the last is repeated"

    def test_mirroring_reverses_their_order_in_half_of_the_draws(self) -> None:
        mask = np.ones((3, 4, 4), dtype=bool)
        window = SliceWindow(size=(3, 4), neighbours=1, reversed_neighbours=True)
        loader = _loader(_Cases([mask]), axes=(2,), window=window, per_batch=64, iterations=1)
        columns = [tuple(int(channel[0, 0]) % 100 for channel in image) for image in next(loader)["data"]]
        inner = [column for column in columns if column[1] in (1, 2)]
        assert set(inner) == {(0, 1, 2), (2, 1, 0), (1, 2, 3), (3, 2, 1)}
        forwards = sum(column[0] < column[2] for column in inner)
        assert 0.2 < forwards / len(inner) < 0.8

    def test_as_the_network_sees_them_at_prediction(self) -> None:
        seen = []

        class Looks(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                seen.extend(x)
                return x[:, :2]

        cases = _Cases([np.ones((4, 4, 4), dtype=bool)])
        volume = torch.from_numpy(cases.load_case("case0")[0])[None]
        ThreePlaneNetwork(Looks(), stride=4, neighbours=1)(volume)
        trained = _take(cases, 0, 1, per_batch=12, window=SliceWindow(size=(4, 4), neighbours=1))[0]["data"]
        assert {tuple(one.flatten().tolist()) for one in trained} == {tuple(one.flatten().tolist()) for one in seen}


@pytest.mark.parametrize(
    ("length", "window", "shown", "expected"),
    [
        (10, 4, None, range(7)),
        (10, 4, (2, 4), range(3)),
        (10, 4, (8, 10), [6]),
        (10, 4, (1, 9), range(1, 6)),
        (4, 10, None, range(-6, 1)),
        (4, 10, (1, 2), range(-6, 1)),
        (4, 4, (0, 4), [0]),
    ],
)
def test_where_a_window_may_start(length: int, window: int, shown: Any, expected: Any) -> None:
    rng = np.random.default_rng(0)
    assert {place_window(length, window, shown, rng) for _ in range(300)} == set(expected)


class TestOpenFiles:
    def test_the_cases_used_last_stay_open(self) -> None:
        class Files:
            """Opens cases like files of blosc2, which are no arrays, and counts."""

            def __init__(self) -> None:
                self.identifiers = [f"case{n}" for n in range(4)]
                self.opened: list[str] = []

            def load_case(self, identifier: str) -> tuple[Any, ...]:
                self.opened.append(identifier)
                return object(), object(), None, {}

        files = Files()
        loader = _loader(_cases(), open_cases=2)
        loader._data = files
        for number in (0, 1, 0, 2, 0, 1, 3, 0):
            loader._case(number)
            assert len(loader._open) <= 2
        # Case 1 is closed for 2, 2 for 1, 0 for 3, 1 for 0.
        assert files.opened == ["case0", "case1", "case2", "case1", "case3", "case0"]

    def test_the_number_follows_the_limit(self) -> None:
        resource = pytest.importorskip("resource")
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
            assert open_case_limit() == 32
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)

    def test_two_thousand_cases_with_256_open_files(self, tmp_path: Path) -> None:
        """Every case is read, twice, with both of its files; without a bound this ends after some 120 cases."""
        resource = pytest.importorskip("resource")
        from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

        count = 2000
        mask = np.zeros((1, 3, 4, 4), dtype=np.int8)
        mask[0, 1] = 1
        block = (1, 3, 4, 4)
        nnUNetDatasetBlosc2.save_case(
            np.arange(48, dtype=np.float32).reshape(block),
            mask,
            {},
            str(tmp_path / "case0000"),
            chunks=block,
            blocks=block,
        )
        for number in range(1, count):
            for ending in (".b2nd", "_seg.b2nd", ".pkl"):
                os.link(tmp_path / f"case0000{ending}", tmp_path / f"case{number:04d}{ending}")
        data = nnUNetDatasetBlosc2(str(tmp_path))
        assert len(data.identifiers) == count
        masks = (data.load_case(case)[1][0] > 0 for case in data.identifiers)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
            table = find_slices(masks, (0,))
            loader = SliceLoader(
                data,
                table=table,
                order=SliceOrder(len(table), per_batch=100, iterations=None, seed=1),
                axes=(0,),
                window=SliceWindow(size=(4, 4)),
                others=0,
                transforms=_as_they_are,
            )
            seen = [key for _ in range(2 * count // 100) for key in next(loader)["keys"]]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert sorted(seen) == sorted(2 * data.identifiers)
