"""The loader of slices: exact passes with any number of workers and processes, and few open files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from nnunet_femur.training.slices.slice_geometry import SliceWindow
from nnunet_femur.training.slices.slice_loader import SliceLoader, open_case_limit
from nnunet_femur.training.slices.slice_order import SliceOrder, find_slices
from tests.training.slices.loading import SHAPE, make_cases, make_loader, noisy, place_of, take, unchanged

if TYPE_CHECKING:
    from pathlib import Path

# Workers that end while a batch of theirs is on its way leave a message of batchgenerators' thread behind.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class TestOnePass:
    @pytest.mark.parametrize("workers", [0, 1, 2])
    def test_every_slice_with_femur_exactly_once_an_epoch(self, workers: int) -> None:
        cases = make_cases()
        expected = sorted(
            (case, axis, index)
            for case, mask in enumerate(cases.masks)
            for axis in range(3)
            for index in range(SHAPE[axis])
            if np.take(mask, index, axis=axis).any()
        )
        count = make_loader(cases).order.batches_per_epoch
        batches = take(cases, workers, 2 * count)
        for epoch in (batches[:count], batches[count:]):
            seen = sorted(place_of(image[0].numpy()) for batch in epoch for image in batch["data"])
            assert seen == expected

    def test_batches_are_the_same_with_any_number_of_workers(self) -> None:
        runs = [
            take(make_cases(), workers, 9, transforms=noisy, others=3, iterations=5, window=SliceWindow(size=(4, 4)))
            for workers in (0, 1, 2)
        ]
        for first, *others in zip(*runs, strict=True):
            for other in others:
                assert torch.equal(first["data"], other["data"])
                assert torch.equal(first["target"], other["target"])
                assert first["keys"] == other["keys"]

    def test_reading_ahead_changes_nothing(self) -> None:
        loader = make_loader(make_cases(), transforms=noisy, others=2)
        loader.read_ahead()
        for expected in take(make_cases(), 0, 5, transforms=noisy, others=2):
            found = next(loader)
            assert torch.equal(found["data"], expected["data"])
            assert torch.equal(found["target"], expected["target"])
            assert found["keys"] == expected["keys"]

    def test_a_failure_of_reading_ahead_shows(self) -> None:
        cases = make_cases()
        loader = make_loader(cases)
        loader.read_ahead()
        next(loader)
        cases.masks = []
        with pytest.raises(IndexError):
            [next(loader) for _ in range(2)]

    def test_a_resumed_run_goes_on_where_it_was(self) -> None:
        whole = take(make_cases(), 0, 8, transforms=noisy)
        resumed = take(make_cases(), 0, 3, transforms=noisy, first=5)
        assert all(torch.equal(a["data"], b["data"]) for a, b in zip(whole[5:], resumed, strict=True))

    @pytest.mark.parametrize("ranks", [2, 3, 5])
    def test_several_processes_share_the_batches_of_one(self, ranks: int) -> None:
        """Order, windows and augmentation included; their weights make the mean over processes that over slices."""
        options: dict[str, Any] = {"transforms": noisy, "others": 3, "window": SliceWindow(size=(4, 4))}
        alone = take(make_cases(), 0, 4, **options)
        parts = [take(make_cases(), 0, 4, rank=rank, ranks=ranks, **options) for rank in range(ranks)]
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
        take(make_cases(), 0, 2, transforms=noisy)
        assert np.array_equal(np.random.get_state()[1], states[0])  # noqa: NPY002
        assert torch.equal(torch.get_rng_state(), states[1])


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
        loader = make_loader(make_cases(), open_cases=2)
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
        psutil = pytest.importorskip("psutil")
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
        # Files that other tests of this process have open do not count.
        limit = 256 + psutil.Process().num_fds()
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
            table = find_slices(masks, (0,))
            loader = SliceLoader(
                data,
                table=table,
                order=SliceOrder(len(table), per_batch=100, iterations=None, seed=1),
                axes=(0,),
                window=SliceWindow(size=(4, 4)),
                others=0,
                transforms=unchanged,
            )
            seen = [key for _ in range(2 * count // 100) for key in next(loader)["keys"]]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert sorted(seen) == sorted(2 * data.identifiers)
