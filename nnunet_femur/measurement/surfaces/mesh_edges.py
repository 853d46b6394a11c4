"""Edges of a mesh of triangles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def directed_edges(triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return start and end of the three edges of each triangle, shape (3 n, 2): all first ones, all second ones, ...

    Example:
        >>> directed_edges(np.array([[4, 7, 9]])).tolist()
        [[4, 7], [7, 9], [9, 4]]
    """
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


def edge_lengths(points: NDArray[np.float64], edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the lengths of edges in the unit of the points.

    Example:
        >>> edge_lengths(np.array([[0.0, 0, 0], [3, 4, 0]]), np.array([[0, 1]])).tolist()
        [5.0]
    """
    return np.asarray(np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1))


def longest_edges(points: NDArray[np.float64], triangles: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the length of the longest edge of each triangle in the unit of the points.

    Example:
        >>> longest_edges(np.array([[0.0, 0, 0], [3, 0, 0], [0, 4, 0]]), np.array([[0, 1, 2]])).tolist()
        [5.0]
    """
    corners = points[triangles]
    return np.asarray(np.linalg.norm(corners - corners[:, [1, 2, 0]], axis=2).max(axis=1))


def unique_edges(triangles: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the edges of a mesh, each once, and the numbers of the three edges of each triangle.

    Returns:
        Lower and higher corner of each edge, shape (m, 2), and numbers of the edges from the first to the second
        corner of each triangle, from the second to the third, and from the third to the first, shape (n, 3).

    Example:
        >>> edges, numbers = unique_edges(np.array([[0, 1, 2], [1, 0, 3]]))
        >>> edges.tolist(), numbers.tolist()
        ([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3]], [[0, 3, 1], [0, 2, 4]])
    """
    pairs = np.sort(directed_edges(triangles), axis=1)
    base = int(triangles.max(initial=0)) + 1
    # One number for an edge: unique rows would take many times as long.
    codes, numbers = np.unique(pairs[:, 0] * base + pairs[:, 1], return_inverse=True)
    return np.stack(np.divmod(codes, base), axis=1), numbers.reshape(3, -1).T
