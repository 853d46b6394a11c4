"""Reads batches of slices, in any plane, from nnU-Net's preprocessed volumes."""

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
from torch.nn import functional

from nnunet_femur.training.slices.slice_order import share_of_rank

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
    from numpy.typing import NDArray

    from nnunet_femur.training.slices.slice_order import SliceOrder, SliceTable


@dataclass(frozen=True, kw_only=True)
class SliceWindow:
    """What a training slice covers.

    Attributes:
        size: Rows and columns that the network sees.
        margin: Further rows and columns that are cut out for the transforms to turn and scale.
        scale: Pixels per voxel along each spatial axis (0 is z): more than 1 where voxels are coarser than pixels.
        neighbours: Slices on either side, as further channels.
        reversed_neighbours: Exchange the slices before and behind in half of the draws, as mirroring of the volume
            across the slice does.
    """

    size: tuple[int, int]
    margin: tuple[int, int] = (0, 0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    neighbours: int = 0
    reversed_neighbours: bool = False

    @property
    def pixels(self) -> tuple[int, int]:
        """Rows and columns before the transforms."""
        return self.size[0] + self.margin[0], self.size[1] + self.margin[1]

    def voxels(self, pixels: tuple[int, int], axis: int) -> tuple[int, int]:
        """Rows and columns of voxels that make so many pixels of a slice across `axis`, at least one each."""
        scale = [self.scale[other] for other in range(3) if other != axis]
        rows, columns = (max(1, round(n / s)) for n, s in zip(pixels, scale, strict=True))
        return rows, columns


class SliceLoader(SlimDataLoaderBase):
    """Endless batches of slices for one of nnU-Net's augmenters.

    A slice of a batch is a pure function of the seed, the batch's number and its place in the batch: order, windows
    and augmentation are the same with any number of workers and GPUs and after a resumption.

    A batch is one dict: "data" (batch, channels, rows, columns), "target" (batch, 1, rows, columns), "keys" (cases) and
    "weight" (slices as a multiple of the mean over all processes).

    Args:
        data: The preprocessed cases, in the order that the table numbers them.
        table: The slices that hold femur.
        order: The order that batches are taken from.
        axes: The spatial axes (0 is z) that slices without femur are drawn across.
        window: What a slice covers.
        others: Slices in each batch of all processes that are drawn from everywhere, with femur or without.
        transforms: nnU-Net's transforms for slices.
        workers: Processes that share the work; 0 for the training's own.
        first: Number of the first batch.
        rank: Number of this process among those that train together on other parts of the same batches.
        ranks: Number of these processes.
        open_cases: Cases whose files stay open; default: as many as the limit of open files leaves room for.
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
        self._most_open = open_case_limit() if open_cases is None else open_cases
        self._open: OrderedDict[int, tuple[Any, Any]] = OrderedDict()
        self._reader: ThreadPoolExecutor | None = None
        self._coming: Future[_Part] | None = None

    def set_thread_id(self, thread_id: int) -> None:
        """Take this worker's share: every so many-th batch, from its own number on."""
        super().set_thread_id(thread_id)
        self._next += thread_id

    def __getstate__(self) -> dict[str, Any]:
        """Without open files, which no other process can use."""
        return self.__dict__ | {"_open": OrderedDict()}

    def read_ahead(self) -> None:
        """Read the next batch in a thread while the last one is trained on; for training without workers."""
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="slices")

    def generate_train_batch(self) -> dict[str, Any]:
        """Return this process's part of the next batch."""
        number = self._next
        self._next += self._step
        read = self._read_batch(number) if self._coming is None else self._coming.result()
        if self._reader is not None:
            self._coming = self._reader.submit(self._read_batch, self._next)
        slices = []
        with torch.no_grad(), threadpool_limits(limits=1, user_api=None), _own_randomness():
            for one in read.samples:
                _seed_transforms((self.order.seed, number, one.place))
                slices.append(self.transforms(image=one.image, segmentation=one.mask))
        return {
            "data": torch.stack([one["image"] for one in slices]),
            "target": torch.stack([one["segmentation"] for one in slices]),
            "keys": [one.key for one in read.samples],
            "weight": len(read.samples) * self.ranks / read.of,
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
        """Read a slice of the table, or one from everywhere if there is no row."""
        rng = np.random.default_rng((self.order.seed, number, place))
        table = self.table
        if row is None:
            case, axis, index, box = self._anywhere(rng)
        else:
            case, axis, index, box = int(table.case[row]), int(table.axis[row]), int(table.index[row]), table.box[row]
        image, mask = self._read(case, axis, index, box, rng)
        return _Sample(place, self._data.identifiers[case], image, mask)

    def _anywhere(self, rng: np.random.Generator) -> tuple[int, int, int, NDArray[np.int64] | None]:
        case = int(rng.integers(len(self._data.identifiers)))
        axis = self.axes[rng.integers(len(self.axes))]
        return case, axis, int(rng.integers(self._case(case)[0].shape[1 + axis])), None

    def _read(
        self, case: int, axis: int, index: int, box: NDArray[np.int64] | None, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        data, seg = self._case(case)
        shape = tuple(n for place, n in enumerate(data.shape[1:]) if place != axis)
        seen = self.window.voxels(self.window.size, axis)
        wanted = self.window.voxels(self.window.pixels, axis)
        shown = (None, None) if box is None else ((box[0], box[1]), (box[2], box[3]))
        # What is seen is placed; the margin lies around it, beyond the image too, so that borders are seen as well.
        starts = [
            place_window(n, s, part, rng) - (w - s) // 2
            for n, s, w, part in zip(shape, seen, wanted, shown, strict=True)
        ]
        inside = [slice(max(0, start), min(n, start + w)) for start, n, w in zip(starts, shape, wanted, strict=True)]
        padding = [
            bound
            for start, n, w in zip(reversed(starts), reversed(shape), reversed(wanted), strict=True)
            for bound in (max(0, -start), max(0, start + w - n))
        ]
        place: list[Any] = [slice(None), *inside]
        place.insert(1 + axis, index)
        mask = torch.from_numpy(np.asarray(seg[tuple(place)]).astype(np.int16))
        backwards = self.window.reversed_neighbours and bool(rng.integers(2))
        image = torch.from_numpy(self._with_neighbours(data, place, axis, index, backwards=backwards))
        if any(padding):
            image = functional.pad(image, padding)
            mask = functional.pad(mask, padding, value=-1)
        if wanted != self.window.pixels:
            image = functional.interpolate(image[None], self.window.pixels, mode="bilinear", align_corners=False)[0]
            mask = functional.interpolate(mask[None].float(), self.window.pixels, mode="nearest-exact")[0].short()
        return image, mask

    def _with_neighbours(
        self, data: Any, place: list[Any], axis: int, index: int, *, backwards: bool
    ) -> NDArray[np.float32]:
        """The slice, or it and its neighbours as channels; beyond the volume's end the last slice is repeated."""
        reach = self.window.neighbours
        if not reach:
            return np.asarray(data[tuple(place)], dtype=np.float32)
        first, last = max(0, index - reach), min(data.shape[1 + axis], index + reach + 1)
        place = [*place]
        place[1 + axis] = slice(first, last)
        slab = np.moveaxis(np.asarray(data[tuple(place)], dtype=np.float32), 1 + axis, 1)
        order = np.arange(index - reach, index + reach + 1)[:: -1 if backwards else 1]
        stack = slab[:, np.clip(order, first, last - 1) - first]
        return np.ascontiguousarray(stack.reshape(-1, *stack.shape[2:]))

    def _case(self, number: int) -> tuple[Any, Any]:
        """Image and mask of a case.

        Files of the cases used last stay open. Arrays, which nnU-Net reads as a whole, do not stay in memory.
        """
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        image, mask, *_ = self._data.load_case(self._data.identifiers[number])
        if isinstance(image, np.ndarray):
            return image, mask
        while len(self._open) >= self._most_open:
            self._open.popitem(last=False)
        self._open[number] = image, mask
        return image, mask


@dataclass(frozen=True)
class _Sample:
    """A slice before the transforms, with its place in the batch of all processes and its case."""

    place: int
    key: str
    image: torch.Tensor
    mask: torch.Tensor


@dataclass(frozen=True)
class _Part:
    """One process's slices of a batch, and the number of slices in the whole batch."""

    samples: list[_Sample]
    of: int


def open_case_limit() -> int:
    """Number of cases whose files a loader may keep open, at most 512.

    Two loaders with two files a case then take half of the open files that the process is allowed.
    """
    try:
        import resource
    except ImportError:  # Windows
        return 64
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 512 if limit == resource.RLIM_INFINITY else max(1, min(512, limit // 8))


def place_window(length: int, window: int, shown: tuple[int, int] | None, rng: np.random.Generator) -> int:
    """Where a window starts along one axis.

    It lies at random within the image, or around it where the window is longer. If it is to show something, it covers
    that as far as it can: all of it, or as much as the window is long.

    Args:
        length: Length of the image.
        window: Length of the window.
        shown: First place that is to be shown and the place behind the last, or None.
        rng: Source of randomness.
    """
    low, high = sorted((0, length - window))
    if shown is not None:
        first, last = sorted((shown[1] - window, shown[0]))
        low, high = max(low, first), min(high, last)
    return int(rng.integers(low, high + 1))


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Give the generators that the transforms use back to the process as they were."""
    before, torch_before = np.random.get_state(), torch.random.get_rng_state()  # noqa: NPY002 - the transforms' own
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
        torch.random.set_rng_state(torch_before)


def _seed_transforms(source: Sequence[int]) -> None:
    numbers = np.random.SeedSequence(source).generate_state(2)
    np.random.seed(int(numbers[0]))  # noqa: NPY002 - the transforms' own
    torch.default_generator.manual_seed(int(numbers[1]))
