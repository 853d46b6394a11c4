"""Pairs of triangles of a mesh that cross each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.imaging.surface_mesh import Surface

_TOUCHING = 1e-9
"""Signed volumes below this share of the cube of the longest edge count as 0: points in a plane do not cross it."""

_FOLDED = -0.9999
"""Cosine between the normals of two triangles with a common edge from which they count as folded onto each other."""

_PAIRS_AT_ONCE = 200_000


def crossing_triangles(surface: Surface) -> NDArray[np.int64]:
    """Return the pairs of triangles that cross each other, or are folded onto each other along a common edge.

    Two triangles cross if an edge of one passes through the inside of the other. Candidates come from a k-d tree of
    the triangles' centres. Triangles that only touch do not count.

    Args:
        surface: A mesh of triangles.

    Returns:
        Indices of the two triangles of each pair, shape (n, 2).

    Example:
        >>> from nnunet_femur.imaging.surface_mesh import Surface
        >>> corners_mm = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0], [1, 1, -1], [1, 1, 1], [3, 3, 1.0]])
        >>> crossing_triangles(Surface(corners_mm, np.array([[0, 1, 2], [3, 4, 5]]))).tolist()
        [[0, 1]]
    """
    pairs = _near_pairs(surface)
    found = [pairs[:0]]
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = pairs[start : start + _PAIRS_AT_ONCE]
        found.append(part[_cross(surface, part)])
    return np.concatenate(found)


def _near_pairs(surface: Surface) -> NDArray[np.int64]:
    """Return the pairs of triangles whose boxes along the axes overlap."""
    from scipy.spatial import cKDTree

    corners = surface.points_mm[surface.triangles]
    if not len(corners):
        return np.empty((0, 2), np.int64)
    centres = corners.mean(axis=1)
    radii = np.linalg.norm(corners - centres[:, None], axis=2).max(axis=1)
    pairs = cKDTree(centres).query_pairs(2 * radii.max(), output_type="ndarray").astype(np.int64)
    low, high = corners.min(axis=1), corners.max(axis=1)
    one, other = pairs.T
    overlap = ((low[one] <= high[other]) & (low[other] <= high[one])).all(axis=1)
    return pairs[overlap]


def _cross(surface: Surface, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    one, other = surface.triangles[pairs[:, 0]], surface.triangles[pairs[:, 1]]
    common = (one[:, :, None] == other[:, None, :]).any(axis=2).sum(axis=1)
    crossing = np.zeros(len(pairs), bool)
    apart = common < 2
    for first, second in ((one[apart], other[apart]), (other[apart], one[apart])):
        for start, end in ((0, 1), (1, 2), (2, 0)):
            crossing[apart] |= _edge_crosses(surface.points_mm, first[:, [start, end]], second)
    neighbours = common == 2
    normals = (_normals(surface.points_mm[each[neighbours]]) for each in (one, other))
    crossing[neighbours] = np.einsum("ij,ij->i", *normals) < _FOLDED
    crossing[common > 2] = True
    return crossing


def _edge_crosses(
    points_mm: NDArray[np.float64], edges: NDArray[np.int64], triangles: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return True for each edge that passes through the inside of the triangle in the same place of the list.

    An edge that shares a corner with its triangle cannot pass through the inside, since it starts in its plane.
    """
    start, end = points_mm[edges[:, 0]], points_mm[edges[:, 1]]
    a, b, c = (points_mm[triangles[:, corner]] for corner in range(3))
    sizes = np.max([np.linalg.norm(each, axis=1) for each in (b - a, c - b, a - c, end - start)], axis=0)
    none = _TOUCHING * sizes**3
    below, above = _volumes(a, b, c, start), _volumes(a, b, c, end)
    through_plane = (np.minimum(below, above) < -none) & (np.maximum(below, above) > none)
    sides = np.stack([_volumes(start, end, *each) for each in ((a, b), (b, c), (c, a))])
    return through_plane & ((sides > none).all(axis=0) | (sides < -none).all(axis=0))


def _volumes(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], d: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return six times the signed volumes of tetrahedra."""
    return np.einsum("ij,ij->i", np.cross(b - a, c - a), d - a)


def _normals(corners_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    normals = np.cross(corners_mm[:, 1] - corners_mm[:, 0], corners_mm[:, 2] - corners_mm[:, 0])
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), np.finfo(float).tiny)
