"""Loader of batches of slices, in any plane, from nnU-Net's preprocessed volumes."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from batchgenerators.dataloading.data_loader import SlimDataLoaderBase
from threadpoolctl import threadpool_limits

from nnunet_femur.training.slices.slice_order import share_of_rank

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
    from numpy.typing import NDArray

    from nnunet_femur.training.slices.slice_geometry import SliceWindow
    from nnunet_femur.training.slices.slice_order import SliceOrder, SliceTable


class SliceLoader(SlimDataLoaderBase):
    """Endless batches of slices for one of nnU-Net's augmenters.

    A slice of a batch is a pure function of the seed, the number of the batch and its place in the batch. So order,
    windows and augmentation are the same with any number of workers and GPUs, and after an interruption.

    A batch is a dict with "data" (batch, channels, rows, columns), "target" (batch, 1, rows, columns), "keys" (cases)
    and "weight" (number of slices divided by the mean number over all processes).

    Args:
        data: The preprocessed cases, in the order of the case numbers in the table.
        table: The slices that contain femur.
        order: The order of these slices.
        axes: The spatial axes (0 is z) that random slices are cut across, and numbers of oblique planes.
        window: Size, scale and neighbours of a slice.
        others: Number of random slices, with femur or without, in each batch of all processes together.
        transforms: nnU-Net's transforms for slices.
        workers: Number of processes that load batches; 0 to load them in the process of the training.
        first: Number of the first batch.
        rank: Number of this process among those that train on parts of the same batches.
        ranks: Number of these processes.
        open_cases: Number of cases whose files stay open. None: as many as the limit of open files allows.
    """

    def __init__(
        self,
        data: nnUNetBaseDataset,
        *,
        table: SliceTable,
        order: SliceOrder,
        axes: Sequence[int],
        window: SliceWindow,
        others: int,
        transforms: BasicTransform,
        workers: int = 0,
        first: int = 0,
        rank: int = 0,
        ranks: int = 1,
        open_cases: int | None = None,
    ) -> None:
        super().__init__(data, order.per_batch + others, workers)
        self.table = table
        self.order = order
        self.axes = tuple(axes)
        self.window = window
        self.others = others
        self.transforms = transforms
        self._next = first
        self._step = max(1, workers)
        self.rank = rank
        self.ranks = ranks
        self._open_limit = open_case_limit() if open_cases is None else open_cases
        self._open: OrderedDict[int, tuple[Any, Any]] = OrderedDict()
        self._reader: ThreadPoolExecutor | None = None
        self._pending: Future[_Part] | None = None

    def set_thread_id(self, thread_id: int) -> None:
        """Load every n-th batch of n workers, from the worker's own number on."""
        super().set_thread_id(thread_id)
        self._next += thread_id

    def __getstate__(self) -> dict[str, Any]:
        """Leave out open files, which other processes cannot use."""
        return self.__dict__ | {"_open": OrderedDict()}

    def read_ahead(self) -> None:
        """Read the next batch in a thread during each training step; for training without workers."""
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="slices")

    def generate_train_batch(self) -> dict[str, Any]:
        """Return this process's part of the next batch."""
        number = self._next
        self._next += self._step
        read = self._read_batch(number) if self._pending is None else self._pending.result()
        if self._reader is not None:
            self._pending = self._reader.submit(self._read_batch, self._next)
        slices = []
        with torch.no_grad(), threadpool_limits(limits=1, user_api=None), _restored_generators():
            for one in read.samples:
                _seed_transforms((self.order.seed, number, one.place))
                slices.append(self.transforms(image=one.image, segmentation=one.mask))
        return {
            "data": torch.stack([one["image"] for one in slices]),
            "target": torch.stack([one["segmentation"] for one in slices]),
            "keys": [one.key for one in read.samples],
            "weight": len(read.samples) * self.ranks / read.batch_size,
        }

    def _read_batch(self, number: int) -> _Part:
        """Read this process's part of a batch."""
        rows = self.order.batch(number)
        size = len(rows) + self.others
        samples = [
            self._read_sample(number, place, int(rows[place]) if place < len(rows) else None)
            for place in share_of_rank(size, rank=self.rank, ranks=self.ranks)
        ]
        return _Part(samples, size)

    def _read_sample(self, number: int, place: int, row: int | None) -> _Sample:
        """Read the slice of a row of the table, or a random slice if there is no row."""
        rng = np.random.default_rng((self.order.seed, number, place))
        table = self.table
        if row is None:
            case, axis, index, box = self._random_slice(rng)
        else:
            case, axis, index, box = int(table.case[row]), int(table.axis[row]), int(table.index[row]), table.box[row]
        image, mask = self.window.cut(*self._case(case), axis, index, box, rng)
        return _Sample(place, self._data.identifiers[case], image, mask)

    def _random_slice(self, rng: np.random.Generator) -> tuple[int, int, int, NDArray[np.int64] | None]:
        case = int(rng.integers(len(self._data.identifiers)))
        axis = self.axes[rng.integers(len(self.axes))]
        return case, axis, int(rng.integers(self.window.slices(self._case(case)[0].shape[1:], axis))), None

    def _case(self, number: int) -> tuple[Any, Any]:
        """Return image and mask of a case.

        Files of the cases used last stay open. Arrays, which nnU-Net reads as a whole, are not kept in memory.
        """
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        image, mask, *_ = self._data.load_case(self._data.identifiers[number])
        if isinstance(image, np.ndarray):
            return image, mask
        while len(self._open) >= self._open_limit:
            self._open.popitem(last=False)
        self._open[number] = image, mask
        return image, mask


@dataclass(frozen=True)
class _Sample:
    """Slice before the transforms, with its place in the batch of all processes and its case."""

    place: int
    key: str
    image: torch.Tensor
    mask: torch.Tensor


@dataclass(frozen=True)
class _Part:
    """Slices of one process in a batch, and the number of slices in the whole batch."""

    samples: list[_Sample]
    batch_size: int


def open_case_limit() -> int:
    """Return the number of cases whose files a loader may keep open, at most 512.

    Two loaders with two files for each case then use half of the process's limit of open files.
    """
    try:
        import resource
    except ImportError:  # Windows
        return 64
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 512 if limit == resource.RLIM_INFINITY else max(1, min(512, limit // 8))


@contextmanager
def _restored_generators() -> Iterator[None]:
    """Restore the state of the random generators that the transforms use."""
    before, torch_before = np.random.get_state(), torch.random.get_rng_state()  # noqa: NPY002 - the transforms' own
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
        torch.random.set_rng_state(torch_before)


def _seed_transforms(source: Sequence[int]) -> None:
    """Seed the random generators that the transforms use."""
    numbers = np.random.SeedSequence(source).generate_state(2)
    np.random.seed(int(numbers[0]))  # noqa: NPY002 - the transforms' own
    torch.default_generator.manual_seed(int(numbers[1]))
