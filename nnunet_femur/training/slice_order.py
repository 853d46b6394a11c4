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

    Args:
        slices: Number of slices that hold femur.
        per_batch: How many of them a batch holds.
        iterations: Batches in an epoch; None for one pass.
        seed: Seed of the order.
        ranks: Number of processes that train together, each on its own batches.
        rank: Number of this process among them.
    """

    slices: int
    per_batch: int
    iterations: int | None
    seed: int
    ranks: int = 1
    rank: int = 0
    _pass: tuple[int, NDArray[np.int64]] = field(init=False, repr=False, default=(-1, np.empty(0, dtype=np.int64)))

    @property
    def batches_per_epoch(self) -> int:
        """Batches in an epoch of this process."""
        if self.iterations is not None:
            return self.iterations
        return max(1, math.ceil(self.slices / self.per_batch / self.ranks))

    def batch(self, number: int) -> NDArray[np.int64]:
        """The slices of a batch.

        Args:
            number: Number of the batch since the training's first, in this process.
        """
        if self.iterations is None:
            epoch, place = divmod(number, self.batches_per_epoch)
            parts = np.array_split(self._shuffled(epoch), self.batches_per_epoch * self.ranks)
            return parts[place * self.ranks + self.rank]
        if not self.slices:
            return np.empty(0, dtype=np.int64)
        start = (number * self.ranks + self.rank) * self.per_batch
        places = range(start, start + self.per_batch)
        return np.array([self._shuffled(place // self.slices)[place % self.slices] for place in places], dtype=np.int64)

    def _shuffled(self, number: int) -> NDArray[np.int64]:
        if self._pass[0] != number:
            self._pass = number, np.random.default_rng((self.seed, number)).permutation(self.slices)
        return self._pass[1]
