"""Logits of all folds of a model for a preprocessed CT, computed around the femur or everywhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import torch

from nnunet_femur.errors import SetupError
from nnunet_femur.prediction.backends.backend import TOO_LARGE
from nnunet_femur.prediction.box_logits import FoldLogits, mark_not_femur
from nnunet_femur.prediction.coarse_blocks import Blocks
from nnunet_femur.prediction.localisation import (
    CROP_MODEL_FROM,
    FemurCounts,
    bone_blocks,
    bone_value,
    is_femur,
    seeds_of,
)
from nnunet_femur.prediction.search_record import AROUND_FEMUR, CROP_MODEL, EVERYWHERE, OWN_WINDOWS, Search
from nnunet_femur.prediction.sliding_window import LogitSums, mirror_axes_of, plan_grid, window_logits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from numpy.typing import NDArray

    from nnunet_femur.imaging.boxes import Box

_KEPT_BYTES = 1 << 30
"""Memory for the logits of windows that are computed before it is known whether they are needed."""


class FoldNetwork(Protocol):
    """The network of one fold at a time, such as a backend."""

    def load(self, parameters: dict[str, torch.Tensor]) -> None:
        """Take the weights of a fold."""

    def __call__(self, windows: torch.Tensor, /) -> torch.Tensor:
        """Return the logits of windows, see :class:`~nnunet_femur.prediction.sliding_window.Network`."""


class CropLocaliser(Protocol):
    """A network of lower resolution that finds the femur in a CT."""

    def region(self, blocks: Blocks, inside: Box) -> NDArray[np.bool_] | None:
        """Return the blocks around the femur; None if there is none.

        Args:
            blocks: Blocks of the padded CT.
            inside: The CT within its padding.
        """


def logits_of_folds(
    predictor: nnUNetPredictor,
    network: FoldNetwork,
    data: torch.Tensor,
    *,
    spacing_mm: Sequence[float],
    femur: Sequence[int],
    exhaustive: bool = False,
    in_hu: bool = True,
    crop: CropLocaliser | None = None,
    on_window: Callable[[int, int], None] | None = None,
) -> FoldLogits:
    """Return the logits of each fold's network for a preprocessed CT.

    Args:
        predictor: nnU-Net's predictor with plans, weights of all folds, step and mirroring.
        network: The network, which takes the weights of each fold in turn.
        data: The preprocessed CT, shape (1, *axes of the plans).
        spacing_mm: Its spacing along the axes of the plans.
        femur: Channels that are femur.
        exhaustive: Compute all windows, in nnU-Net's order.
        in_hu: True if the CT's values are HU, so that windows without bone need not be searched first.
        crop: A localiser to use where it takes less time than the model's own windows.
        on_window: Called after each window with the number of passes through the network that are done and their total
            so far; mirrored passes are counted.

    Raises:
        InputError: The network's output is infinite or not a number.
        SetupError: The network does not fit into the memory of the device (code "no-device").
    """
    run = _Run(predictor, network, data, spacing_mm, femur, on_window)
    with torch.inference_mode(), _freeing(network, run.move_to_cpu):
        localisers: list[str] = []
        region = None
        if not exhaustive and len(run.grid.windows) > 1:
            region, localisers = run.localise(bone_value(predictor) if in_hu else None, crop)
        found = region is not None or not localisers
        widened = 0
        if region is not None and run.reaches_all(region):
            region = None
        if region is not None:
            region, widened = run.compute_around(region)
            found = region is not None
        if region is None:
            run.needed = run.everything
            for fold in range(len(run.sums)):
                run.add_missing(fold)
        return run.result(region, tuple(localisers), found=found, widened=widened)


@contextmanager
def _freeing(network: FoldNetwork, free_memory: Callable[[], bool]) -> Iterator[None]:
    """Let a backend free the memory of its device, and report a device that is still too small."""
    backend: Any = network
    backend.free_memory = free_memory
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise SetupError(TOO_LARGE, code="no-device") from error
    finally:
        backend.free_memory = None


class _Run:
    """State of the computation of one CT."""

    def __init__(
        self,
        predictor: nnUNetPredictor,
        network: FoldNetwork,
        data: torch.Tensor,
        spacing_mm: Sequence[float],
        femur: Sequence[int],
        on_window: Callable[[int, int], None] | None,
    ) -> None:
        patch = predictor.configuration_manager.patch_size
        self.grid = plan_grid(data.shape[1:], patch, step_size=predictor.tile_step_size)
        self.data = self.grid.padded(data)
        self.blocks = Blocks(self.grid.shape, tuple(spacing_mm))
        device = getattr(network, "device", None)
        self.sums = [LogitSums(self.grid, device=device) for _ in predictor.list_of_parameters]
        self.everything = list(range(len(self.grid.windows)))
        self.needed = self.everything
        self._predictor, self._network, self._femur = predictor, network, tuple(femur)
        self._regions = predictor.label_manager.has_regions
        self._axes = mirror_axes_of(predictor)
        self._on_window = on_window
        self._computed, self._loaded = 0, -1
        self._kept: dict[int, tuple[torch.Tensor, torch.dtype]] = {}
        self._unlikely: list[int] = []

    def move_to_cpu(self) -> bool:
        """Keep sums and logits in main memory from now on; return False if they are there already."""
        self._kept = {number: (logits.cpu(), dtype) for number, (logits, dtype) in self._kept.items()}
        moved = [sums.move_to_cpu() for sums in self.sums]
        return any(moved)

    def localise(self, bone: float | None, crop: CropLocaliser | None) -> tuple[NDArray[np.bool_] | None, list[str]]:
        """Return the blocks around the femur, None for everywhere; and the localisers that were used."""
        seeds = seeds_of(self.grid, self.blocks, bone_blocks(self.data, self.grid, self.blocks, bone))
        if len(seeds) == len(self.grid.windows):
            return None, []
        used = []
        if crop is not None and len(seeds) * self._passes >= CROP_MODEL_FROM:
            used.append(CROP_MODEL)
            region = crop.region(self.blocks, self.grid.inside)
            if region is not None:
                return region, used
        counts = FemurCounts(self.blocks)
        for number, logits in self._fresh(0, seeds):
            femur = is_femur(logits, self._femur, regions=self._regions).cpu().numpy()
            self._keep(number, logits, has_femur=counts.add(femur, self.grid.windows[number]))
        region = counts.region()
        return (region if region.any() else None), [*used, OWN_WINDOWS]

    def reaches_all(self, region: NDArray[np.bool_]) -> bool:
        """Return True if all windows reach a region."""
        return len(self.blocks.touching(region, self.grid.windows)) == len(self.everything)

    def compute_around(self, region: NDArray[np.bool_]) -> tuple[NDArray[np.bool_] | None, int]:
        """Compute all windows that reach a region, and widen it until it is 25 mm larger than the femur.

        Returns:
            The region, None if it contains no femur; and the number of times that it was widened.
        """
        widened, found = 0, False
        while any(self._missing(fold, region) for fold in range(len(self.sums))):
            for fold in range(len(self.sums)):
                while self._missing(fold, region):
                    widened += bool(self.sums[fold].added)
                    self.needed = self.blocks.touching(region, self.grid.windows)
                    self.add_missing(fold)
                    around = self._around_femur(fold, region)
                    found = found or bool(around.any())
                    region = region | around
        return (region if found else None), widened

    def add_missing(self, fold: int) -> None:
        """Compute the needed windows that a fold does not have yet, and add them in the order of the grid."""
        missing = [number for number in self.needed if number not in self.sums[fold].added]
        # Logits of the first fold can be kept from the search.
        fresh = self._fresh(fold, [number for number in missing if fold or number not in self._kept])
        for number in missing:
            if fold == 0 and number in self._kept:
                logits, dtype = self._kept.pop(number)
                # Rounded like the other windows' logits.
                self.sums[fold].add(number, logits.to(dtype))
            else:
                self.sums[fold].add(number, next(fresh)[1])

    def result(
        self, region: NDArray[np.bool_] | None, localisers: tuple[str, ...], *, found: bool, widened: int
    ) -> FoldLogits:
        """Return the logits with the record of the search."""
        self._kept.clear()
        everywhere = all(len(sums.added) == len(self.everything) for sums in self.sums)
        search = Search(
            EVERYWHERE if everywhere else AROUND_FEMUR,
            self._computed,
            len(self.everything) * len(self.sums),
            localisers,
            found,
            widened,
        )
        inside = self.grid.inside
        box = inside
        if region is not None and not everywhere:
            box = _grown_within(self.blocks.box_of_voxels(region), inside)
        values = []
        for sums in self.sums:
            logits = sums.logits(box)
            if logits.device.type != "cuda":
                logits = logits.cpu()
            if region is not None and not everywhere:
                outside = torch.from_numpy(~self.blocks.voxels(region, box)).to(logits.device)
                mark_not_femur(logits, outside, regions=self._regions)
            values.append(logits)
        shape = tuple(part.stop - part.start for part in inside)
        own = tuple(slice(b.start - i.start, b.stop - i.start) for b, i in zip(box, inside, strict=True))
        return FoldLogits(values, own, shape, search)

    @property
    def _passes(self) -> int:
        return 2 ** len(self._axes)

    def _fresh(self, fold: int, numbers: list[int]) -> Iterator[tuple[int, torch.Tensor]]:
        """Compute windows of a fold."""
        if not numbers:
            return
        if self._loaded != fold:
            self._network.load(self._predictor.list_of_parameters[fold])
            self._loaded = fold
        for number, logits in window_logits(self._network, self.data, self.grid, numbers, mirror_axes=self._axes):
            self._computed += 1
            if self._on_window is not None:
                self._on_window(self._computed * self._passes, self._total(number) * self._passes)
            yield number, logits

    def _total(self, number: int) -> int:
        """Return the number of windows, computed or needed as far as is known, while a window is not yet added."""
        needed = set(self.needed)
        to_add = sum(len(needed - sums.added) for sums in self.sums)
        return self._computed + to_add - len(needed & self._kept.keys()) - (number in needed)

    def _missing(self, fold: int, region: NDArray[np.bool_]) -> bool:
        return not self.sums[fold].added.issuperset(self.blocks.touching(region, self.grid.windows))

    def _around_femur(self, fold: int, region: NDArray[np.bool_]) -> NDArray[np.bool_]:
        box = self.blocks.box_of_voxels(region)
        femur = is_femur(self.sums[fold].sums[(slice(None), *box)], self._femur, regions=self._regions).cpu().numpy()
        counts = FemurCounts(self.blocks)
        # Outside of the region, windows are missing.
        counts.add(femur & self.blocks.voxels(region, box), box)
        return counts.region()

    def _keep(self, number: int, logits: torch.Tensor, *, has_femur: bool) -> None:
        """Keep the logits of a window until it is known whether it is needed."""
        half = logits.half()
        exact = half if torch.equal(half.to(logits.dtype), logits) else logits
        while self._unlikely and self._kept_bytes() + exact.nbytes > _KEPT_BYTES:
            del self._kept[self._unlikely.pop()]
        if self._kept_bytes() + exact.nbytes > _KEPT_BYTES:
            if not has_femur:
                return
            # The sums are rounded like this, too.
            exact = half
        self._kept[number] = (_compact(exact), logits.dtype)
        if not has_femur:
            self._unlikely.append(number)

    def _kept_bytes(self) -> int:
        return sum(logits.nbytes for logits, _ in self._kept.values())


def _compact(values: torch.Tensor) -> torch.Tensor:
    """Return values in memory of their own, not in that of a batch, which would be kept as a whole."""
    return values.clone() if values.untyped_storage().nbytes() > values.nbytes else values


def _grown_within(box: Box, outer: Box, voxels: int = 2) -> Box:
    """Return a box with some voxels more on each side, as far as they are in another box."""
    return tuple(
        slice(max(part.start - voxels, around.start), min(part.stop + voxels, around.stop))
        for part, around in zip(box, outer, strict=True)
    )
