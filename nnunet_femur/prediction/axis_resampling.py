"""nnU-Net's resampling as products with one matrix per axis.

nnU-Net resizes with scikit-image, that is scipy's spline ``zoom``, in double precision and one channel at a time; on a
large CT that takes longer than the network. The operation is linear and separable, so a matrix for each axis says
all of it, and products of matrices are what processors are best at. The results differ by rounding only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

DEFAULT_FUNCTION = "resample_data_or_seg_to_shape"
"""The only function of nnU-Net that is done here; plans that name another are left to nnU-Net itself."""


@dataclass(frozen=True)
class Resampling:
    """How an array comes to another shape.

    Attributes:
        matrices: For each axis z, y, x the weights of the old voxels (columns) in the new ones (rows); double
            precision.
        slicewise_axis: The axis whose slices nnU-Net resizes one by one, because they lie far apart; None if all
            three axes are resized together.
    """

    matrices: tuple[NDArray[np.float64], ...]
    slicewise_axis: int | None

    @property
    def new_shape(self) -> tuple[int, ...]:
        """Number of new voxels along each axis."""
        return tuple(len(matrix) for matrix in self.matrices)

    @property
    def changes_nothing(self) -> bool:
        """Whether old and new shape are the same, in which case nnU-Net returns the array as it is."""
        return all(matrix.shape[0] == matrix.shape[1] for matrix in self.matrices)


def plan_resampling(
    old_shape: Sequence[int],
    new_shape: Sequence[int],
    old_spacing_mm: Sequence[float],
    new_spacing_mm: Sequence[float],
    settings: dict[str, Any],
) -> Resampling:
    """The matrices of nnU-Net's ``resample_data_or_seg_to_shape``.

    Args:
        old_shape: Voxels of the array along each axis.
        new_shape: Voxels wanted.
        old_spacing_mm: Distances of the array's voxels, which together with the new ones decide whether slices are
            resized one by one.
        new_spacing_mm: Distances of the voxels wanted.
        settings: The keyword arguments of nnU-Net's function, as plans hold them: ``order``, ``order_z``,
            ``force_separate_z``.
    """
    from nnunetv2.preprocessing.resampling.default_resampling import determine_do_sep_z_and_axis

    order, order_slices = settings.get("order", 3), settings.get("order_z", 0)
    apart, axis = determine_do_sep_z_and_axis(settings.get("force_separate_z", False), old_spacing_mm, new_spacing_mm)
    slicewise = int(axis) if apart else None
    orders = [order_slices if index == slicewise else order for index in range(3)]
    matrices = (weights(old, new, each) for old, new, each in zip(old_shape, new_shape, orders, strict=True))
    return Resampling(tuple(matrices), slicewise)


def weights(old: int, new: int, order: int) -> NDArray[np.float64]:
    """The weight of each of `old` samples (columns) in each of `new` ones (rows), of a spline of this order.

    Both rows of samples fill the same length. Order 0 takes the nearest sample.
    """
    from scipy import ndimage

    if order == 0:
        positions = (np.arange(new) + 0.5) * (old / new) - 0.5
        nearest = np.clip(np.floor(positions + 0.5).astype(int), 0, old - 1)
        return np.eye(old)[nearest]
    # A linear operation is known by what it makes of the unit vectors.
    return np.asarray(ndimage.zoom(np.eye(old), (new / old, 1), order=order, mode="nearest", grid_mode=True))


def support(matrix: NDArray[np.float64], rows: slice) -> slice:
    """The old samples (columns) that have any weight in these new ones (rows)."""
    used = np.flatnonzero(matrix[rows].any(axis=0))
    return slice(int(used[0]), int(used[-1]) + 1)


def reach(matrix: NDArray[np.float64], columns: slice) -> slice:
    """The new samples (rows) in which any of these old ones (columns) has weight; empty if there is none."""
    reached = np.flatnonzero(matrix[:, columns].any(axis=1))
    return slice(int(reached[0]), int(reached[-1]) + 1) if len(reached) else slice(0, 0)


def along(values: torch.Tensor, matrix: torch.Tensor, axis: int) -> torch.Tensor:
    """Multiply the samples along one of the last three axes with a matrix of new by old samples."""
    if axis == 2:
        return values @ matrix.T
    if axis == 1:
        return matrix @ values
    *channels, depth, height, width = values.shape
    return (matrix @ values.reshape(*channels, depth, height * width)).reshape(*channels, len(matrix), height, width)
