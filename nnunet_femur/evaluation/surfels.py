"""Surfaces of masks as surfels: the small pieces that marching cubes puts at the corners where voxels meet.

A surfel sits where eight voxels (four pixels in a slice) meet that are not all alike. Which of them belong to the
mask is its neighbour code, and the code and the spacing give its area (its length in a slice). This is the surface of
google-deepmind/surface-distance (Nikolov et al. 2018, Apache-2.0), table and order of additions included, so that
scores agree to the last digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.spatial import cKDTree

Indices = tuple["NDArray", "NDArray", "NDArray"]
"""Indices along z, y and x, of integers, shape (n,) each."""


def unravelled(places: NDArray[np.int64], shape: tuple[int, ...]) -> Indices:
    """Like numpy.unravel_index for three dimensions, but in 32 bits where they do, which takes a tenth of its time.

    Args:
        places: Places in the flattened array, shape (n,).
        shape: Shape of the array along z, y, x.
    """
    small = int(np.prod(shape, dtype=np.int64)) <= np.iinfo(np.int32).max
    flat = places.astype(np.int32) if small else places
    rows = flat // max(shape[2], 1)
    z = rows // max(shape[1], 1)
    return z, rows - z * shape[1], flat - rows * shape[2]


_NORMALS = {
    "a": (1, 1, 1),
    "b": (2, 2, 2),
    "c": (3, 3, 3),
    "d": (2, 2, 0),
    "e": (2, 0, 2),
    "f": (0, 2, 2),
    "g": (4, 0, 0),
    "h": (0, 4, 0),
    "i": (0, 0, 4),
}
"""Triangles of marching cubes by their normal, without its sign, in eighths of a voxel's face."""

_TRIANGLES = (
    "- a a dd a ee aa gba a aa ee gba dd gba gba gg a ff aa hba aa iba aaa abba aa ffa eea acfe add cfad gaba gab "
    "a aa ff hab aa aee ffa cfae aa aaa iba bbaa add gbaa fcad gba dd hba hab hh dda cead ahba hba add hbaa cdae hba "
    "dddd dda add dd a aa aa add ff iba ffa cfad aa aaa aee gbaa hba bbaa ecfa gba ee iba aee ecda iba ii aabi abi "
    "eea ibaa eeee aee ecda iba aee ee aa aaa aff haba ffa ibaa ffff ffa aaa aaaa ibaa aaa hbaa aaa ffa aa gba baba "
    "cfae hba cdfa abi aff ff gbaa aaa eea aa dda aa aa a"
)
"""The triangles of the neighbour codes 0 to 127; code 255 - n has those of code n."""


@lru_cache(maxsize=32)
def surfel_areas_mm2(spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Area in mm² of the surfel of each of the 256 neighbour codes, for voxels of this spacing along z, y, x."""
    z, y, x = spacing_mm
    areas = {
        letter: float(np.linalg.norm(np.array([n[0] / 8 * y * x, n[1] / 8 * z * x, n[2] / 8 * z * y])))
        for letter, n in _NORMALS.items()
    }
    half = [sum(areas[letter] for letter in triangles.strip("-")) for triangles in _TRIANGLES.split()]
    return _frozen(np.array(half + half[::-1], dtype=float))


@lru_cache(maxsize=32)
def surfel_lengths_mm(spacing_mm: tuple[float, float]) -> NDArray[np.float64]:
    """Length in mm of the contour piece of each of the 16 neighbour codes of a slice, for pixels of this spacing."""
    down, across = spacing_mm
    slanted = 0.5 * float(np.hypot(down, across))
    half = [0.0, slanted, slanted, across, slanted, down, 2 * slanted, slanted]
    return _frozen(np.array(half + half[::-1]))


def _frozen(table: NDArray[np.float64]) -> NDArray[np.float64]:
    table.flags.writeable = False
    return table


@dataclass(frozen=True)
class Surface:
    """The surfels of one mask of two or three dimensions.

    Attributes:
        corners: Where each surfel sits, shape (n, dimensions): index i lies between the voxels i - 1 and i. In
            ascending order of the first index, then the second and so on.
        areas_mm2: Area of each surfel in mm² (in a slice its length in mm), shape (n,).
        spacing_mm: Voxel spacing along each dimension.
    """

    corners: NDArray[np.int64]
    areas_mm2: NDArray[np.float64]
    spacing_mm: tuple[float, ...]

    @cached_property
    def low(self) -> NDArray[np.int64]:
        """Smallest index along each dimension."""
        return self.corners.min(axis=0)

    @cached_property
    def high(self) -> NDArray[np.int64]:
        """Largest index along each dimension."""
        return self.corners.max(axis=0)

    @cached_property
    def points_mm(self) -> NDArray[np.float64]:
        """Position of each surfel in mm, shape (n, dimensions)."""
        return self.corners * np.array(self.spacing_mm)

    @cached_property
    def tree(self) -> cKDTree:
        """A tree for the search of nearest surfels."""
        from scipy.spatial import cKDTree

        # Splitting at the middle is faster to build than at the median, and as fast to search.
        return cKDTree(self.points_mm, balanced_tree=False)


def extract_surface(mask: NDArray[np.bool_], box: Sequence[slice], spacing_mm: tuple[float, ...]) -> Surface:
    """The surfels of a mask.

    Args:
        mask: Mask of two or three dimensions.
        box: A part of it that holds every voxel of the mask.
        spacing_mm: Voxel spacing along each dimension.
    """
    codes = _neighbour_codes(mask[tuple(box)])
    full = codes.dtype.type(2 ** (2**mask.ndim) - 1)
    # Codes 0 and `full` are no surface: one more makes them 1 and (in eight bits) 0.
    if mask.ndim == 3:
        places = np.flatnonzero((codes + np.uint8(1)).ravel() > 1)
        areas = surfel_areas_mm2(spacing_mm)
    else:
        places = np.flatnonzero(((codes > 0) & (codes < full)).ravel())
        areas = surfel_lengths_mm(spacing_mm)
    unravel = unravelled if codes.ndim == 3 else np.unravel_index
    corners = np.stack(unravel(places, codes.shape), axis=1).astype(np.int64)
    corners += [part.start for part in box]
    return Surface(corners, areas[codes.ravel()[places]], spacing_mm)


def _neighbour_codes(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The neighbour code of every corner of a mask, shape one larger than the mask in each dimension."""
    codes = np.zeros([size + 2 for size in mask.shape], dtype=np.uint8)
    codes[tuple(slice(1, -1) for _ in mask.shape)] = mask
    # Along the last axis two bits are joined, then two pairs, then two fours.
    for step, axis in enumerate(reversed(range(mask.ndim))):
        before, after = (_shifted(codes.ndim, axis, part) for part in (slice(None, -1), slice(1, None)))
        joined = codes[before] * np.uint8(2 ** (2**step))
        joined += codes[after]
        codes = joined
    return codes


def _shifted(dimensions: int, axis: int, part: slice) -> tuple[slice, ...]:
    return tuple(part if other == axis else slice(None) for other in range(dimensions))
