"""nnU-Net's resampling as products with one matrix per axis.

nnU-Net resizes with scikit-image, which uses scipy's spline ``zoom``, in double precision and one channel at a time; on
a large CT that takes longer than the network. The operation is linear and separable, so a matrix for each axis
describes it completely, and processors multiply matrices fast. The results differ by rounding only.
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
"""The function of nnU-Net that is replaced here; plans that name another one are resampled by nnU-Net itself."""


@dataclass(frozen=True)
class Resampling:
    """Matrices that bring an array to another shape.

    Attributes:
        matrices: For each axis z, y, x the weights of the old voxels (columns) in the new ones (rows); double
            precision.
        slicewise_axis: The axis whose slices nnU-Net resizes one by one, because their spacing is large; None if all
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
        """True if old and new shape are the same; nnU-Net returns the array unchanged then."""
        return all(matrix.shape[0] == matrix.shape[1] for matrix in self.matrices)


def plan_resampling(
    old_shape: Sequence[int],
    new_shape: Sequence[int],
    old_spacing_mm: Sequence[float],
    new_spacing_mm: Sequence[float],
    settings: dict[str, Any],
) -> Resampling:
    """Return the matrices of nnU-Net's ``resample_data_or_seg_to_shape``.

    Args:
        old_shape: Number of voxels of the array along each axis.
        new_shape: Number of voxels to resample to.
        old_spacing_mm: Spacing of the array in mm, which together with the new one decides whether slices are resized
            one by one.
        new_spacing_mm: Spacing to resample to, in mm.
        settings: The keyword arguments of nnU-Net's function in the plans: ``order``, ``order_z``,
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
    """Return the weight of each old sample (columns) in each new one (rows), for a spline.

    Args:
        old: Number of old samples.
        new: Number of new samples, which cover the same length.
        order: Order of the spline; 0 takes the nearest sample.
    """
    from scipy import ndimage

    if order == 0:
        positions = (np.arange(new) + 0.5) * (old / new) - 0.5
        nearest = np.clip(np.floor(positions + 0.5).astype(int), 0, old - 1)
        return np.eye(old)[nearest]
    # The results for the unit vectors are the matrix of a linear operation.
    return np.asarray(ndimage.zoom(np.eye(old), (new / old, 1), order=order, mode="nearest", grid_mode=True))


def support(matrix: NDArray[np.float64], rows: slice) -> slice:
    """Return the old samples (columns) that have weight in these new ones (rows)."""
    used = np.flatnonzero(matrix[rows].any(axis=0))
    return slice(int(used[0]), int(used[-1]) + 1)


def reach(matrix: NDArray[np.float64], columns: slice) -> slice:
    """Return the new samples (rows) in which any of these old ones (columns) has weight; it can be empty."""
    reached = np.flatnonzero(matrix[:, columns].any(axis=1))
    return slice(int(reached[0]), int(reached[-1]) + 1) if len(reached) else slice(0, 0)


def along(values: torch.Tensor, matrix: torch.Tensor, axis: int) -> torch.Tensor:
    """Multiply the samples along one of the last three axes by a matrix of new by old samples.

    Args:
        values: The array, shape (..., 3 axes).
        matrix: The weights, shape (new, old).
        axis: The axis, 0 to 2 of the last three.
    """
    if axis == 2:
        return values @ matrix.T
    if axis == 1:
        return matrix @ values
    *channels, depth, height, width = values.shape
    return (matrix @ values.reshape(*channels, depth, height * width)).reshape(*channels, len(matrix), height, width)
