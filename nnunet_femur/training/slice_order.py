"""Which slices make up which batch: a pure function of the seed, however many processes load them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass
class SliceOrder:
    """The order in which slices that hold femur are trained on.

    They are shuffled anew for each pass, and all are used before one comes again. With `iterations` None an epoch is
    exactly one pass, in batches whose sizes differ by one at most; else batches are filled from one pass after another.

    Batches are those of all processes together. Each process takes its share of them with :func:`share_of_rank`, so
    the number of steps does not depend on the number of processes.

    Args:
        slices: Number of slices that hold femur.
        per_batch: Number of them in a batch.
        iterations: Batches in an epoch; None for one pass.
        seed: Seed of the order.
    """

    slices: int
    per_batch: int
    iterations: int | None
    seed: int
    _pass: tuple[int, NDArray[np.int64]] = field(init=False, repr=False, default=(-1, np.empty(0, dtype=np.int64)))

    @property
    def batches_per_epoch(self) -> int:
        """Batches in an epoch."""
        if self.iterations is not None:
            return self.iterations
        return max(1, math.ceil(self.slices / max(1, self.per_batch)))

    @property
    def smallest_batch(self) -> int:
        """Slices in the smallest batch."""
        return self.per_batch if self.iterations is not None else self.slices // self.batches_per_epoch

    def batch(self, number: int) -> NDArray[np.int64]:
        """The slices of a batch.

        Args:
            number: Number of the batch since the training's first.
        """
        if self.iterations is None:
            epoch, place = divmod(number, self.batches_per_epoch)
            return np.array_split(self._shuffled(epoch), self.batches_per_epoch)[place]
        if not self.slices:
            return np.empty(0, dtype=np.int64)
        start = number * self.per_batch
        places = range(start, start + self.per_batch)
        return np.array([self._shuffled(place // self.slices)[place % self.slices] for place in places], dtype=np.int64)

    def _shuffled(self, number: int) -> NDArray[np.int64]:
        if self._pass[0] != number:
            self._pass = number, np.random.default_rng((self.seed, number)).permutation(self.slices)
        return self._pass[1]


def share_of_rank(size: int, *, rank: int, ranks: int) -> range:
    """Places of a batch that one of several processes trains on.

    They are dealt out in turn: shares differ by one at most, and each has its part of the slices with femur, which
    come first in a batch.

    Args:
        size: Slices in the batch.
        rank: Number of the process.
        ranks: Number of processes.
    """
    return range(rank, size, ranks)
