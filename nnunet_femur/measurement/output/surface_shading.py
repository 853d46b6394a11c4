"""Shaded image of a surface from one direction, by numpy alone: works on every machine, without a display or OpenGL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.imaging.surface_mesh import Surface
    from nnunet_femur.measurement.landmarks import Point

_SAMPLES_PER_PIXEL = 5.0
"""Points of the surface per pixel; with fewer, pixels between them stay empty."""

_LIGHT = np.array([-0.35, 0.55, 0.76])
"""Direction to the light in the image: right, up, to the viewer. From the upper left, as shading is read."""

_AMBIENT = 0.38


@dataclass(frozen=True)
class View:
    """A direction of view without perspective.

    Attributes:
        up: Unit vector in LPS that is upwards in the image.
        towards: Unit vector in LPS towards the viewer, perpendicular to `up`.
    """

    up: Point
    towards: Point

    @property
    def right(self) -> Point:
        """Unit vector in LPS that is to the right in the image."""
        return np.cross(self.up, self.towards)

    def project(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points in LPS mm, shape (n, 3) or (3,), as right and up in mm, shape (n, 2) or (2,).

        Example:
            >>> x, y, z = np.eye(3)
            >>> View(up=z, towards=-y).project(np.array([1.0, 2.0, 3.0])).tolist()
            [1.0, 3.0]
        """
        return np.asarray(points_mm @ np.array([self.right, self.up]).T)


@dataclass(frozen=True)
class ShadedImage:
    """A surface as seen in a view.

    Attributes:
        brightness: Brightness of each pixel, 0 to 1, first row at the bottom; NaN where there is no surface.
        extent_mm: Left, right, lower and upper edge of the image in mm.
    """

    brightness: NDArray[np.float32]
    extent_mm: tuple[float, float, float, float]


def shade(surface: Surface, view: View, *, pixel_mm: float, normals: NDArray[np.float64] | None = None) -> ShadedImage:
    """Return the image of a surface in a view.

    Points are spread over all triangles, and each pixel shows the point nearest to the viewer.

    Args:
        surface: The surface; not empty.
        view: The direction.
        pixel_mm: Width of a pixel.
        normals: Unit normal of each corner in LPS, shape (n, 3), by which the surface is lit. Default:
            :func:`corner_normals`.

    Example:
        >>> from nnunet_femur.imaging import Surface
        >>> corners_mm = np.array([[0.0, 0, 0], [30, 0, 0], [0, 20, 0], [0, 0, 10]])
        >>> wedge = Surface(corners_mm, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))
        >>> x, y, z = np.eye(3)
        >>> image = shade(wedge, View(up=z, towards=-y), pixel_mm=1.0)
        >>> round(float(np.isfinite(image.brightness).mean()), 1)  # a triangle covers half of its box
        0.5
    """
    axes = np.array([view.right, view.up, view.towards])
    points = surface.points_mm @ axes.T
    low = points[:, :2].min(axis=0) - pixel_mm
    width, height = (int(np.ceil(n)) for n in (points[:, :2].max(axis=0) + pixel_mm - low) / pixel_mm)
    lit = _light((corner_normals(surface) if normals is None else normals) @ axes.T)
    samples = _spread(points, lit, surface.triangles, pixel_mm)
    column, row = ((samples[:, axis] - low[axis]) / pixel_mm for axis in range(2))
    pixel = row.astype(np.intp) * width + column.astype(np.intp)
    # Of several values for one pixel, numpy keeps the last.
    nearest_last = np.argsort(samples[:, 2])
    depth, light = np.full((2, height * width), np.nan, np.float32)
    depth[pixel[nearest_last]] = samples[nearest_last, 2]
    light[pixel[nearest_last]] = samples[nearest_last, 3]
    brightness = _filled(depth.reshape(height, width), light.reshape(height, width))
    left, bottom = (float(edge) for edge in low)
    return ShadedImage(brightness, (left, left + width * pixel_mm, bottom, bottom + height * pixel_mm))


def _light(normals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the brightness of surfaces with these normals (right, up, towards the viewer)."""
    lit = _AMBIENT + (1 - _AMBIENT) * np.clip(normals @ (_LIGHT / np.linalg.norm(_LIGHT)), 0, 1)
    # Surfaces seen at a grazing angle are darker, which draws the outline.
    return np.asarray(lit * (0.55 + 0.45 * np.clip(normals[:, 2] / 0.6, 0, 1)))


def _filled(depth: NDArray[np.float32], light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the brightness with single pixels filled that no point hit, or only a point far behind its neighbours."""
    from scipy import ndimage

    if np.isnan(depth).all():
        return light
    lowest = np.nanmin(depth)
    known = np.where(np.isnan(depth), lowest - _GAP_MM - 1, depth)
    hole = ndimage.grey_closing(known, 3) - known > _GAP_MM
    seen = np.where(hole, np.nan, light)
    weight = ndimage.uniform_filter((~np.isnan(seen)).astype(np.float32), 3)
    mean = ndimage.uniform_filter(np.nan_to_num(seen), 3) / np.maximum(weight, 1e-6)
    return np.where(hole, mean, light).astype(np.float32)


_GAP_MM = 4.0
"""Difference in depth from its neighbours that shows a pixel to be a hole."""


def corner_normals(surface: Surface, *, smoothing: int = 0) -> NDArray[np.float64]:
    """Return the unit normal of each corner in LPS, shape (n, 3): the mean of its triangles' weighted by area.

    Args:
        surface: The surface.
        smoothing: Number of times that each normal is replaced by the mean of those around it, which hides the steps
            of voxels.
    """
    triangles = surface.triangles
    normals = _normalised(_summed(surface.normals_mm2, triangles, len(surface.points_mm)))
    for _ in range(smoothing):
        of_triangles = normals[triangles[:, 0]] + normals[triangles[:, 1]] + normals[triangles[:, 2]]
        normals = _normalised(_summed(of_triangles, triangles, len(normals)))
    return normals


def _summed(vectors: NDArray[np.float64], triangles: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Return the sum of the vectors of the triangles around each corner."""
    corners = triangles.ravel()
    return np.stack([np.bincount(corners, np.repeat(vectors[:, k], 3), minlength=count) for k in range(3)], axis=1)


def _normalised(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def _spread(
    points: NDArray[np.float64], light: NDArray[np.float64], triangles: NDArray[np.int64], pixel_mm: float
) -> NDArray[np.float32]:
    """Return points spread over the triangles that face the viewer: right, up, depth and brightness, shape (n, 4)."""
    corners = np.column_stack([points, light]).astype(np.float32)
    a, b, c = (corners[triangles[:, corner]] for corner in range(3))
    doubled = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    kept = doubled > 0
    counts = np.ceil(doubled[kept] / 2 / pixel_mm**2 * _SAMPLES_PER_PIXEL).astype(np.intp)
    which = np.flatnonzero(kept).repeat(counts)
    # Two irrational steps spread points evenly, and in the same way in every run.
    number = np.arange(len(which))
    u, v = ((number * step % 1).astype(np.float32)[:, None] for step in (0.7548776662466927, 0.5698402909980532))
    outside = u + v > 1
    u, v = np.where(outside, 1 - u, u), np.where(outside, 1 - v, v)
    start = a[which]
    return np.asarray(start + u * (b[which] - start) + v * (c[which] - start))
