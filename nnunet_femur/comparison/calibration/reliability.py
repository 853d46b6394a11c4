"""Agreement of probabilities with a reference, in bins of the probability: calibration error, Brier score, curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 15
"""Number of bins of equal width from 0 to 1, as in Guo et al. (2017)."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Sums over voxels in bins of the predicted probability of femur; those of several cases can be added.

    Attributes:
        voxels: Number of voxels in each bin, shape (bins,).
        probabilities: Sum of their probabilities, shape (bins,).
        femur: Number of them that are femur in the reference, shape (bins,).
        squares: Sum over all voxels of (probability - reference)², where the reference is 0 or 1.
    """

    voxels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    femur: NDArray[np.int64]
    squares: float

    @classmethod
    def of(cls, probabilities: NDArray[np.floating], femur: NDArray[np.bool_], *, bins: int = BINS) -> Reliability:
        """Return the sums of some voxels.

        Args:
            probabilities: Predicted probability of femur of each voxel.
            femur: True for voxels that are femur in the reference, in the same shape.
            bins: Number of bins.

        Example:
            >>> found = Reliability.of(np.array([0.1, 0.1, 0.9, 0.9]), np.array([False, False, True, False]), bins=2)
            >>> found.voxels.tolist(), found.femur.tolist()
            ([2, 2], [0, 1])
            >>> round(found.ece, 3), round(found.brier, 3)      # (2 * |0.1 - 0| + 2 * |0.9 - 0.5|) / 4
            (0.25, 0.21)
        """
        values, truth = np.ravel(probabilities).astype(np.float64), np.ravel(femur)
        place = np.minimum((values * bins).astype(np.intp), bins - 1) + bins * truth
        counts = np.bincount(place, minlength=2 * bins).reshape(2, bins)
        sums = np.bincount(place, weights=values, minlength=2 * bins).reshape(2, bins)
        squares = values @ values - 2 * sums[1].sum() + counts[1].sum()
        return cls(counts.sum(axis=0), sums.sum(axis=0), counts[1], float(squares))

    @classmethod
    def nothing(cls, *, bins: int = BINS) -> Reliability:
        """Return the sums of no voxel."""
        return cls(np.zeros(bins, np.int64), np.zeros(bins), np.zeros(bins, np.int64), 0.0)

    def __add__(self, other: Reliability) -> Reliability:
        return Reliability(
            self.voxels + other.voxels,
            self.probabilities + other.probabilities,
            self.femur + other.femur,
            self.squares + other.squares,
        )

    @property
    def total(self) -> int:
        """Number of voxels."""
        return int(self.voxels.sum())

    @property
    def ece(self) -> float:
        """Expected calibration error (Naeini et al. 2015), of the probability of femur; NaN without a voxel.

        The mean over voxels of the distance between the mean probability of their bin and the share of femur in it.
        """
        return float(np.abs(self.probabilities - self.femur).sum() / self.total) if self.total else float("nan")

    @property
    def brier(self) -> float:
        """Brier score (1950): mean of (probability - reference)²; NaN without a voxel."""
        return self.squares / self.total if self.total else float("nan")

    @property
    def bias(self) -> float:
        """Mean probability minus share of femur, above 0 if there is too much probability; NaN without a voxel."""
        return float((self.probabilities - self.femur).sum() / self.total) if self.total else float("nan")

    @property
    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean probability and share of femur of each bin with voxels."""
        used = self.voxels > 0
        return self.probabilities[used] / self.voxels[used], self.femur[used] / self.voxels[used]
