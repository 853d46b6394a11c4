"""Cortex and marrow in cross-sections of the shaft, by the half-maximum edges of radial profiles.

The CT is sampled in a slab across the shaft on rays from the centre of the bone, and the edges of the cortex are found
on each ray. A cortex that is thin compared with the blur or the voxels would be measured too thick (Prevrhal et al.
1999, Treece et al. 2010), so it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.density.cortex_edges import STEP_MM, CortexEdges, find_edges, too_thin
from nnunet_femur.measurement.femur_measurements import Missing
from nnunet_femur.measurement.landmarks import plane_axes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry
    from nnunet_femur.measurement.landmarks import Point

RAYS = 120
"""Number of rays of a cross-section; 0.7 mm apart at the surface of the shaft."""

SLAB_MM = 4.0
"""Thickness of the slab over which profiles are averaged along the shaft, which reduces noise."""

_PLANES = 5
_BEYOND_MM = 6.0
"""Reach of the rays beyond the mask, for the value of the soft tissue."""

LEAST_VOXELS = 2.0
"""Least mean thickness in voxels across the shaft; thinner cortices are measured too thick."""

_WIDEST_MM = 60.0
"""Largest radius of a cross-section."""


@dataclass(frozen=True, eq=False)
class CorticalSection:
    """Cortex in one cross-section.

    Attributes:
        center_mm: Centre of the rays in LPS mm.
        edges: Outer and inner edge on each ray, and the values of the tissues.
    """

    center_mm: Point
    edges: CortexEdges

    @property
    def total_area_mm2(self) -> float:
        """Area within the outer edge."""
        return float(np.mean(self.edges.outer_mm**2) * np.pi)

    @property
    def marrow_area_mm2(self) -> float:
        """Area within the inner edge."""
        return float(np.mean(self.edges.inner_mm**2) * np.pi)

    @property
    def cortical_area_mm2(self) -> float:
        """Area between the edges."""
        return self.total_area_mm2 - self.marrow_area_mm2

    @cached_property
    def thickness_mm(self) -> float:
        """Mean shortest distance from the outer to the inner edge, along the outer edge."""
        outer = _on_rays(self.edges.outer_mm, RAYS)
        inner = _on_rays(self.edges.inner_mm, RAYS * 8)
        nearest = np.sqrt(((outer[:, None] - inner[None]) ** 2).sum(2).min(1))
        # Each point stands for half of the outline to its two neighbours.
        steps = np.linalg.norm(outer - np.roll(outer, 1, 0), axis=1)
        return float(np.average(nearest, weights=steps + np.roll(steps, -1)))

    @property
    def index(self) -> float:
        """Cortical index: 1 - inner / outer diameter, of circles of equal area."""
        return float(1 - np.sqrt(self.marrow_area_mm2 / self.total_area_mm2))


def cortical_section(
    ct_hu_zyx: NDArray, mask_zyx: NDArray[np.bool_], geometry: Geometry, center_mm: Point, axis: Point
) -> CorticalSection | Missing:
    """Return the cortex in the plane through a point of the bone across an axis.

    Args:
        ct_hu_zyx: CT in HU.
        mask_zyx: Mask of the femur on the same grid.
        geometry: Geometry of both.
        center_mm: A point near the middle of the bone in the plane, LPS mm.
        axis: Unit vector along the shaft.

    Returns:
        The section, or the reason for which it cannot be measured.

    Example:
        >>> from nnunet_femur.imaging import Geometry
        >>> z, y, x = np.indices((20, 60, 60))
        >>> radius = np.hypot(x - 30, y - 30)
        >>> tube = np.where(radius > 14, 50, np.where(radius > 8, 1500, -50))
        >>> grid = Geometry((60, 60, 20), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        >>> center, up = np.array([30.0, 30.0, 10.0]), np.array([0.0, 0.0, 1.0])
        >>> section = cortical_section(tube, radius <= 14, grid, center, up)
        >>> abs(section.thickness_mm - 6) < 0.2
        True
    """
    rays = _ray_directions(axis)
    outline = _mask_outline(mask_zyx, geometry, center_mm, rays)
    if outline is None:
        return _NOT_CLOSED
    # A second pass from the centre of the outline, since the first point may be far from it.
    center_mm = center_mm + _middle(outline) @ rays[[0, RAYS // 4]]
    outline = _mask_outline(mask_zyx, geometry, center_mm, rays)
    if outline is None:
        return _NOT_CLOSED
    radii = np.arange(0, outline.max() + _BEYOND_MM, STEP_MM)
    profiles = _profiles(ct_hu_zyx, geometry, center_mm, rays, radii, axis)
    found = find_edges(profiles, radii, outline)
    if isinstance(found, Missing):
        return found
    section = CorticalSection(center_mm, found)
    thickness = section.thickness_mm
    voxel_mm = voxel_across_mm(geometry, axis)
    if thickness < LEAST_VOXELS * voxel_mm:
        return too_thin(f"only {thickness / voxel_mm:.2f} voxels thick, less than {LEAST_VOXELS:g}")
    return section


def voxel_across_mm(geometry: Geometry, axis: Point) -> float:
    """Return the mean extent of a voxel in the directions across an axis, in mm.

    Example:
        >>> from nnunet_femur.imaging import Geometry
        >>> grid = Geometry((9, 9, 9), (0.8, 0.8, 3.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        >>> round(voxel_across_mm(grid, np.array([0.0, 0.0, 1.0])), 3)
        0.8
    """
    in_voxels = _ray_directions(axis) @ np.reshape(geometry.direction, (3, 3)) / np.asarray(geometry.spacing_mm_xyz)
    return float(np.mean(1 / np.linalg.norm(in_voxels, axis=1)))


def _ray_directions(axis: Point) -> NDArray[np.float64]:
    """Return unit vectors across an axis, evenly spaced, shape (RAYS, 3)."""
    x, y = plane_axes(axis)
    angles = np.arange(RAYS) * 2 * np.pi / RAYS
    return np.cos(angles)[:, None] * y - np.sin(angles)[:, None] * x


def _on_rays(radii_mm: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return points of a closed outline given by its radii, in its plane, shape (count, 2)."""
    angles = np.arange(count) * 2 * np.pi / count
    radii = np.interp(angles, np.arange(len(radii_mm)) * 2 * np.pi / len(radii_mm), radii_mm, period=2 * np.pi)
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)


def _middle(radii_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the centroid of the area within an outline, in its plane."""
    directions = _on_rays(np.ones(RAYS), RAYS)
    return np.asarray((radii_mm[:, None] ** 3 * directions).sum(0) * 2 / 3 / (radii_mm**2).sum())


def _sampled(volume_zyx: NDArray, geometry: Geometry, points_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return a volume at points of any shape (..., 3), interpolated linearly; 0 outside."""
    import scipy.ndimage

    inverse = np.linalg.inv(geometry.steps_mm)
    index_zyx = (inverse @ (points_mm.reshape(-1, 3) - geometry.origin_mm_xyz).T)[::-1]
    found = scipy.ndimage.map_coordinates(volume_zyx, index_zyx, np.float32, order=1, mode="constant")
    return found.reshape(points_mm.shape[:-1])


def _mask_outline(
    mask_zyx: NDArray[np.bool_], geometry: Geometry, center_mm: Point, rays: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Return the radius of the mask on each ray in mm; None if it does not end, or does not surround the centre."""
    radii = np.arange(0, _WIDEST_MM, STEP_MM)
    points = center_mm + radii[None, :, None] * rays[:, None, :]
    inside = _sampled(mask_zyx.view(np.uint8), geometry, points) >= 0.5
    last = len(radii) - 1 - np.argmax(inside[:, ::-1], axis=1)
    if not inside.any(axis=1).all() or last.max() == len(radii) - 1:
        return None
    return (last + 0.5) * STEP_MM


def _profiles(
    ct_hu_zyx: NDArray,
    geometry: Geometry,
    center_mm: Point,
    rays: NDArray[np.float64],
    radii: NDArray[np.float64],
    axis: Point,
) -> NDArray[np.float64]:
    """Return the values on the rays, averaged over the slab and smoothed over neighbouring rays, (RAYS, radius)."""
    offsets = np.linspace(-SLAB_MM / 2, SLAB_MM / 2, _PLANES)
    points = (
        center_mm
        + radii[None, None, :, None] * rays[None, :, None, :]
        + offsets[:, None, None, None] * axis
    )  # fmt: skip
    profiles = _sampled(ct_hu_zyx, geometry, points).mean(0, dtype=np.float64)
    return 0.5 * profiles + 0.25 * (np.roll(profiles, 1, 0) + np.roll(profiles, -1, 0))


_NOT_CLOSED = Missing("section-not-closed", "The mask has no closed outline in this cross-section.")
