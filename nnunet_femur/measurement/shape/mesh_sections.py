"""Sections of a mesh by planes and spheres: closed loops with area, centroid and outline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.landmarks import across, plane_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nnunet_femur.measurement.landmarks import Point
    from nnunet_femur.measurement.shape.mesh import BoneMesh


@dataclass(frozen=True, eq=False)
class Loop:
    """One closed curve of a plane section, as unordered segments.

    The segments run counter-clockwise around the bone as seen against the normal, and clockwise around a cavity.

    Attributes:
        starts_mm: Start of each segment in LPS mm, shape (n, 3).
        ends_mm: End of each segment, shape (n, 3).
        normal: Unit normal of the plane.
    """

    starts_mm: NDArray[np.float64]
    ends_mm: NDArray[np.float64]
    normal: Point

    @cached_property
    def _moments(self) -> tuple[float, Point]:
        """Area and centroid by Green's theorem; the order of the segments does not matter."""
        middle = self.starts_mm.mean(axis=0)
        p, q = self.starts_mm - middle, self.ends_mm - middle
        doubled = np.cross(p, q) @ self.normal
        area = float(doubled.sum()) / 2
        if abs(area) < 1e-9:
            return 0.0, middle
        return area, np.asarray(middle + ((p + q) * doubled[:, None]).sum(axis=0) / (6 * area))

    @property
    def area_mm2(self) -> float:
        """Enclosed area; negative for a cavity."""
        return self._moments[0]

    @property
    def centroid_mm(self) -> Point:
        """Centroid of the enclosed area in LPS mm."""
        return self._moments[1]

    def encloses(self, point_mm: Point) -> bool:
        """Return True if the curve winds once around a point of the plane."""
        p, q = (across(each - point_mm, self.normal) for each in (self.starts_mm, self.ends_mm))
        angles = np.arctan2(np.cross(p, q) @ self.normal, (p * q).sum(axis=1))
        return bool(abs(angles.sum() - 2 * np.pi) < 0.1)

    def widths_mm(self) -> tuple[float, float]:
        """Return the smallest and the largest distance of two parallel lines that touch the curve (Feret diameters)."""
        from scipy.spatial import ConvexHull

        x, y = plane_axes(self.normal)
        flat = np.stack([self.starts_mm @ x, self.starts_mm @ y], axis=1)
        corners = flat[ConvexHull(flat).vertices]
        edges = np.roll(corners, -1, axis=0) - corners
        lengths = np.linalg.norm(edges, axis=1)
        edges, lengths = edges[lengths > 1e-9], lengths[lengths > 1e-9]
        across_edges = np.stack([-edges[:, 1], edges[:, 0]], axis=1) / lengths[:, None]
        spread = across_edges @ corners.T
        largest = np.linalg.norm(corners[:, None] - corners[None], axis=2).max()
        return float((spread.max(axis=1) - spread.min(axis=1)).min()), float(largest)

    def outline_mm(self) -> NDArray[np.float64]:
        """Return the corners in their order along the curve, shape (n, 3)."""
        from scipy.spatial import cKDTree

        tree = cKDTree(self.starts_mm)
        following = tree.query(self.ends_mm)[1]
        order, place = [], 0
        for _ in range(len(self.starts_mm)):
            order.append(place)
            place = int(following[place])
            if place == 0:
                break
        return self.starts_mm[order]


def loop_around(loops: Sequence[Loop], point_mm: Point) -> Loop | None:
    """Return the largest outer curve that encloses a point of its plane, or None if none does."""
    around = [loop for loop in loops if loop.area_mm2 > 0 and loop.encloses(point_mm)]
    return max(around, key=lambda loop: loop.area_mm2) if around else None


def plane_sections(mesh: BoneMesh, normal: Point, positions_mm: NDArray[np.float64]) -> list[list[Loop]]:
    """Cut a mesh with parallel planes.

    Args:
        mesh: The mesh; a part of a closed one is enough if it contains all triangles near the planes.
        normal: Unit normal of the planes.
        positions_mm: Positions of the planes along the normal (the product of a point and the normal), shape (k,).

    Returns:
        For each plane its closed curves; none if the plane misses the mesh.

    Example:
        >>> from nnunet_femur.imaging import Geometry
        >>> from nnunet_femur.measurement.shape.mesh import BoneMesh
        >>> block = np.zeros((20, 20, 20))
        >>> block[4:14, 4:14, 4:14] = 1
        >>> grid = Geometry((20, 20, 20), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        >>> loops = plane_sections(BoneMesh.of_mask(block, grid), np.array([0.0, 0.0, 1.0]), np.array([17.0, 90.0]))
        >>> [len(of_plane) for of_plane in loops], round(loops[0][0].area_mm2)
        ([1, 0], 392)
    """
    along = mesh.points_mm @ normal
    order = np.argsort(positions_mm)
    levels = positions_mm[order]
    # A corner on a plane counts as above it.
    below = np.searchsorted(levels, along, side="right")
    first, last = extremes(below[mesh.triangles])
    counts = last - first
    cut = np.repeat(np.flatnonzero(counts), counts[counts > 0])
    starts = np.repeat(first[counts > 0], counts[counts > 0])
    within = np.arange(len(cut)) - np.repeat(np.cumsum(counts[counts > 0]) - counts[counts > 0], counts[counts > 0])
    plane = starts + within
    segments = _crossings(mesh, mesh.triangles[cut], along, levels[plane])
    return _loops_of_planes(segments, plane, order, normal)


def sphere_section(mesh: BoneMesh, center_mm: Point, radius_mm: float) -> list[NDArray[np.float64]]:
    """Cut a mesh with a sphere.

    Args:
        mesh: The mesh, as in :func:`plane_sections`.
        center_mm: Centre of the sphere in LPS mm.
        radius_mm: Its radius.

    Returns:
        The closed curves as segments, each of shape (n, 2, 3), the longest first.
    """
    distance = np.linalg.norm(mesh.points_mm - center_mm, axis=1)
    above = (distance >= radius_mm)[mesh.triangles]
    cut = mesh.triangles[above.any(axis=1) & ~above.all(axis=1)]
    starts, ends, keys = _crossings(mesh, cut, distance, np.full(len(cut), radius_mm))
    number, labels = _connected(keys)
    curves = [np.stack([starts[labels == each], ends[labels == each]], axis=1) for each in range(number)]
    return sorted(curves, key=lambda curve: -float(np.linalg.norm(curve[:, 1] - curve[:, 0], axis=1).sum()))


def extremes(of_corners: NDArray) -> tuple[NDArray, NDArray]:
    """Return the smallest and the largest of the three values of each triangle, shape (m, 3) to (m,).

    Three columns are compared several times as fast as rows are reduced.
    """
    a, b, c = of_corners.T
    return np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)


def _crossings(
    mesh: BoneMesh, triangles: NDArray[np.int64], along: NDArray[np.float64], levels: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return start, end and the two cut edges of the segment in which each triangle is cut at its level.

    Seen against the direction in which `along` increases, the segment has the triangle's inside on its left.
    """
    values = along[triangles]
    above = values >= levels[:, None]
    # Rotate the corners so that the first is alone on its side.
    alone = np.where(above.sum(axis=1) == 1, above.argmax(axis=1), (~above).argmax(axis=1))
    rows = np.arange(len(triangles))
    a, b, c = (triangles[rows, (alone + step) % 3] for step in range(3))
    is_above = above[rows, alone]

    def crossing(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the points at which edges are cut, shape (k, 3)."""
        # The same edge gives the same point from both of its triangles.
        low, high = np.minimum(one, other), np.maximum(one, other)
        share = (levels - along[low]) / (along[high] - along[low])
        return mesh.points_mm[low] + share[:, None] * (mesh.points_mm[high] - mesh.points_mm[low])

    size = np.int64(len(mesh.points_mm))
    points = (crossing(a, b), crossing(a, c))
    keys = [np.minimum(a, each) * size + np.maximum(a, each) for each in (b, c)]
    forwards = is_above[:, None]
    starts = np.where(forwards, points[0], points[1])
    ends = np.where(forwards, points[1], points[0])
    edges = np.where(forwards, np.stack(keys, 1), np.stack(keys[::-1], 1))
    return starts, ends, edges


def _connected(keys: NDArray[np.int64]) -> tuple[int, NDArray[np.int32]]:
    """Return the number of curves, and the curve of each segment, from the two edges that each segment joins."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if not len(keys):
        return 0, np.empty(0, np.int32)
    nodes = np.unique(keys, return_inverse=True)[1].reshape(keys.shape)
    size = int(nodes.max()) + 1
    graph = coo_matrix((np.ones(len(nodes), bool), (nodes[:, 0], nodes[:, 1])), shape=(size, size))
    number, labels = connected_components(graph, directed=False)
    return number, labels[nodes[:, 0]]


def _loops_of_planes(
    segments: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]],
    plane: NDArray[np.int64],
    order: NDArray[np.int64],
    normal: Point,
) -> list[list[Loop]]:
    starts, ends, keys = segments
    loops: list[list[Loop]] = [[] for _ in order]
    if not len(starts):
        return loops
    # The same edge is another node in another plane.
    span = np.int64(keys.max()) + 1
    number, labels = _connected(np.stack([keys[:, 0] + span * plane, keys[:, 1] + span * plane], 1))
    arranged = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[arranged], np.arange(number + 1))
    for low, high in pairwise(bounds):
        chosen = arranged[low:high]
        loops[order[plane[chosen[0]]]].append(Loop(starts[chosen], ends[chosen], normal))
    return loops
