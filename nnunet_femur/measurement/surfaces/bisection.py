"""Local refinement of a mesh of triangles: marked triangles are divided at their longest edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.surface_mesh import Surface
from nnunet_femur.measurement.surfaces.mesh_edges import edge_lengths, unique_edges

if TYPE_CHECKING:
    from numpy.typing import NDArray


def bisected(mesh: Surface, marked: NDArray[np.bool_]) -> Surface:
    """Return a mesh in which marked triangles are divided, and it stays closed.

    A triangle is divided from the middle of its longest edge, and so is its neighbour (Rivara, "Mesh refinement
    processes based on the generalized bisection of simplices", SIAM J Numer Anal 21, 1984). No angle becomes smaller
    than half the smallest one of the mesh.

    Args:
        mesh: A mesh of triangles.
        marked: The triangles to divide, shape (number of triangles,).

    Example:
        >>> corners_mm = np.array([[0.0, 0, 0], [4, 0, 0], [0, 3, 0], [4, 3, 0]])
        >>> finer = bisected(Surface(corners_mm, np.array([[0, 1, 2], [1, 3, 2]])), np.array([True, False]))
        >>> len(finer.triangles), finer.points_mm[4].tolist()
        (4, [2.0, 1.5, 0.0])
    """
    return divided(mesh, marked)[0]


def divided(mesh: Surface, marked: NDArray[np.bool_]) -> tuple[Surface, NDArray[np.int64]]:
    """Return a mesh as :func:`bisected` does, and the corners of the edges whose middles are its new points, in order.

    Example:
        >>> corners_mm = np.array([[0.0, 0, 0], [4, 0, 0], [0, 3, 0]])
        >>> divided(Surface(corners_mm, np.array([[0, 1, 2]])), np.array([True]))[1].tolist()
        [[1, 2]]
    """
    triangles = mesh.triangles
    edges, numbers = unique_edges(triangles)
    lengths_mm = edge_lengths(mesh.points_mm, edges)
    longest = numbers[np.arange(len(triangles)), lengths_mm[numbers].argmax(axis=1)]
    cut = np.zeros(len(edges), bool)
    cut[longest[marked]] = True
    count = 0
    # The longest edge of a triangle is divided before any other, so that no thin triangles arise.
    while (now := int(cut.sum())) != count:
        count = now
        cut[longest[cut[numbers].any(axis=1)]] = True
    points_mm = np.concatenate([mesh.points_mm, mesh.points_mm[edges[cut]].mean(axis=1)])
    middles = np.full(len(edges), -1)
    middles[cut] = len(mesh.points_mm) + np.arange(count)
    return Surface(points_mm, _parts(triangles, middles[numbers], longest[:, None] == numbers)), edges[cut]


def _parts(triangles: NDArray[np.int64], middles: NDArray[np.int64], longest: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return triangles divided at the middles of their edges, which are -1 where an edge stays whole."""
    # The longest edge first: it is from corner a to corner b, opposite to c.
    turn = (longest.argmax(axis=1)[:, None] + np.arange(3)) % 3
    a, b, c = np.take_along_axis(triangles, turn, axis=1).T
    ab, bc, ca = np.take_along_axis(middles, turn, axis=1).T
    parts = [triangles[ab < 0]]
    # Each half is divided once more if its other outer edge is.
    for half, whole, middle in ((np.stack([b, c, ab], axis=1), bc < 0, bc), (np.stack([c, a, ab], axis=1), ca < 0, ca)):
        parts.append(half[(ab >= 0) & whole])
        cut = (ab >= 0) & ~whole
        start, end, inner = half[cut].T
        parts.append(np.stack([start, middle[cut], inner], axis=1))
        parts.append(np.stack([middle[cut], end, inner], axis=1))
    return np.concatenate(parts)
