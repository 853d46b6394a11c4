"""Surface of a bone prepared for measuring: smooth, with the areas, centres and normals of its triangles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.boxes import box_of, start_of
from nnunet_femur.imaging.geometry import AxisOrder
from nnunet_femur.imaging.surface_mesh import Surface, isosurface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry
    from nnunet_femur.measurement.landmarks import Point

_SIGMA_VOXELS = 0.7
"""Standard deviation of the filter that smooths the steps between voxels; less leaves steps, more shrinks the bone."""

_FRAGMENT_SHARE = 0.05
"""Area of a piece of a mesh, as a share of the largest piece's, below which it is a fragment."""

_MARGIN_VOXELS = 4
"""Background around the mask, so that the filter does not reach the border."""


@dataclass(frozen=True, eq=False)
class BoneMesh:
    """Closed triangle mesh of a bone.

    Attributes:
        points_mm: Corners in LPS mm, shape (n, 3).
        triangles: Indices of the corners of each triangle, counter-clockwise seen from outside, shape (m, 3).
        weight: Number of triangles of the whole mesh that each stands for, above 1 after :meth:`thinned`.
        smoothing_mm2: Variance of the filter that smoothed the mask, summed over the three axes, in mm²; 0 for none.

    Example:
        >>> corners_mm = np.array([[0.0, 0, 0], [30, 0, 0], [0, 20, 0], [0, 0, 10]])
        >>> BoneMesh(corners_mm, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])).volume_ml
        1.0
    """

    points_mm: NDArray[np.float64]
    triangles: NDArray[np.int64]
    weight: float = 1.0
    smoothing_mm2: float = 0.0

    @classmethod
    def of_mask(cls, mask_zyx: NDArray, geometry: Geometry) -> BoneMesh:
        """Return the smoothed surface of a mask: a Gaussian filter in voxels, then the surface at one half.

        Args:
            mask_zyx: The mask, not 0 in the bone; it may be empty. A bone that touches the border is closed there.
            geometry: Geometry of its voxels.
        """
        from scipy import ndimage

        box = box_of(mask_zyx)
        part = mask_zyx[box] != 0
        if not part.any():
            return cls(np.empty((0, 3)), np.empty((0, 3), np.int64))
        origin = geometry.origin_mm_xyz + geometry.steps_mm @ start_of(box)[::-1]
        cropped = replace(geometry, size_xyz=part.shape[::-1], origin_mm_xyz=tuple(float(each) for each in origin))
        # The triangles of a surface depend on the order of the axes, so the mask determines it, not the file.
        order = _own_order(part, geometry.spacing_mm_xyz)
        part, grid = order.of_array(part), order.of_geometry(cropped)
        smooth = ndimage.gaussian_filter(
            np.pad(part, _MARGIN_VOXELS).astype(np.float32, order="C"), _SIGMA_VOXELS, truncate=4.0
        )
        corners, triangles = isosurface(smooth, np.ones(3))
        points_mm = (corners - _MARGIN_VOXELS) @ grid.steps_mm.T + grid.origin_mm_xyz
        mirrored = np.linalg.det(grid.steps_mm) < 0
        smoothing_mm2 = float(np.sum((_SIGMA_VOXELS * np.array(geometry.spacing_mm_xyz)) ** 2))
        return cls(points_mm, triangles[:, ::-1] if mirrored else triangles, smoothing_mm2=smoothing_mm2)

    @classmethod
    def of_surface(cls, surface: Surface) -> BoneMesh:
        """Return the mesh of a closed surface whose triangles face outwards."""
        return cls(np.asarray(surface.points_mm, float), np.asarray(surface.triangles, np.int64))

    @property
    def surface(self) -> Surface:
        """The mesh as a surface that can be written to a file."""
        return Surface(self.points_mm, self.triangles)

    @property
    def volume_ml(self) -> float:
        """Enclosed volume in ml."""
        return self.surface.volume_ml

    @cached_property
    def _normals_mm2(self) -> NDArray[np.float64]:
        return self.surface.normals_mm2

    @cached_property
    def areas_mm2(self) -> NDArray[np.float64]:
        """Area that each triangle stands for in mm², shape (m,)."""
        return np.linalg.norm(self._normals_mm2, axis=1) / 2 * self.weight

    @cached_property
    def normals(self) -> NDArray[np.float64]:
        """Outward unit normal of each triangle, shape (m, 3)."""
        return self._normals_mm2 / np.maximum(np.linalg.norm(self._normals_mm2, axis=1), 1e-30)[:, None]

    @cached_property
    def centers_mm(self) -> NDArray[np.float64]:
        """Centre of each triangle in LPS mm, shape (m, 3)."""
        return self.points_mm[self.triangles].mean(axis=1)

    def unsmoothed_radius_mm(self, radius_mm: float) -> float:
        """Return the radius of a sphere before the filter, which moves a surface inwards by its variance and curvature.

        A filter with the variances s along the axes makes a sphere of radius r smaller by sum(s) / (3 r).
        """
        return radius_mm + self.smoothing_mm2 / (3 * radius_mm)

    def part(self, chosen: NDArray[np.bool_]) -> BoneMesh:
        """Return some triangles of the mesh, which is then open; unused corners are dropped.

        Args:
            chosen: True for the triangles to keep, shape (m,).
        """
        kept = self.triangles[chosen]
        used = np.zeros(len(self.points_mm), bool)
        used[kept.ravel()] = True
        number = np.cumsum(used) - 1
        return replace(self, points_mm=self.points_mm[used], triangles=number[kept])

    def without_fragments(self) -> BoneMesh:
        """Return the mesh without its small pieces, such as specks beside the bone and bubbles in it.

        A piece is small if its area is less than 5 % of the largest one's.
        """
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        if not len(self.triangles):
            return self
        size = len(self.points_mm)
        a, b, c = self.triangles.T
        edges = np.ones(2 * len(a), bool), (np.concatenate([a, b]), np.concatenate([b, c]))
        number, labels = connected_components(coo_matrix(edges, shape=(size, size)), directed=False)
        if number == 1:
            return self
        pieces = labels[a]
        areas = np.bincount(pieces, self.areas_mm2, number)
        return self.part(areas[pieces] >= _FRAGMENT_SHARE * areas.max())

    def thinned(self, count: int) -> BoneMesh:
        """Return about as many triangles as asked for, evenly spread, each with a larger weight."""
        step = max(1, len(self.triangles) // count)
        part = self.part(np.arange(len(self.triangles)) % step == 0)
        return replace(part, weight=self.weight * step)

    def between(self, axis: Point, low: float, high: float) -> BoneMesh:
        """Return the triangles that reach into a slab.

        Args:
            axis: Unit normal of the slab.
            low: Lowest position along the normal, in mm.
            high: Highest position.
        """
        along = self.points_mm @ axis
        reaches, starts = (along >= low)[self.triangles], (along <= high)[self.triangles]
        return self.part(_any(reaches) & _any(starts))

    def near(self, point_mm: Point, radius_mm: float) -> BoneMesh:
        """Return the triangles with a corner within a distance of a point."""
        offsets = self.points_mm - point_mm
        close = np.einsum("ij,ij->i", offsets, offsets) <= radius_mm**2
        return self.part(_any(close[self.triangles]))


def _own_order(part_zyx: NDArray[np.bool_], spacing_mm_xyz: Sequence[float]) -> AxisOrder:
    """Return the order of a mask's axes that its shape determines: along the largest spread last, skewed upwards."""
    spread, is_low = [], []
    for axis, spacing in zip((2, 1, 0), spacing_mm_xyz, strict=True):
        counts = np.count_nonzero(part_zyx, axis=tuple(other for other in range(3) if other != axis))
        places = (np.arange(len(counts)) - np.average(np.arange(len(counts)), weights=counts)) * spacing
        spread.append(float(np.average(places**2, weights=counts)))
        is_low.append(bool(np.average(places**3, weights=counts) < 0))
    axes = tuple(int(axis) for axis in np.argsort(spread))
    return AxisOrder(axes, tuple(is_low[axis] for axis in axes))


def _any(of_corners: NDArray[np.bool_]) -> NDArray[np.bool_]:
    a, b, c = of_corners.T
    return a | b | c
