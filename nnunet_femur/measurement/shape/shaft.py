"""The shaft of a femur: its axes, areas, isthmus and bow, from sections across the bone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.landmarks import Line
from nnunet_femur.measurement.shape.mesh_sections import Loop, loop_around, plane_sections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from nnunet_femur.measurement.landmarks import Point
    from nnunet_femur.measurement.shape.mesh import BoneMesh

_SECTIONS, _ITERATIONS = 25, 5
_LEAST_SECTIONS = 8
"""Sections that an axis needs; a bone with fewer has no shaft in that zone."""

WHOLE_SHAFT = (0.3, 0.7)
"""Part of the bone's length that determines the whole-shaft axis."""

PROXIMAL_SHAFT_RADII = (3.2, 6.4)
"""Distances below the head's centre between which the proximal shaft axis is fitted, in head radii."""


def principal_axis(mesh: BoneMesh) -> Line:
    """Return the line through the centre of a surface in the direction of its largest spread, by area."""
    center, spread = _center_and_spread(mesh)
    return Line(center, np.linalg.eigh(spread)[1][:, -1])


def elongation(mesh: BoneMesh) -> float:
    """Return the ratio of the two largest standard deviations of a surface: 6.4 to 8.7 for a whole femur."""
    _, spread = _center_and_spread(mesh)
    values = np.linalg.eigvalsh(spread)
    return float(np.sqrt(values[-1] / max(values[-2], 1e-12)))


def _center_and_spread(mesh: BoneMesh) -> tuple[Point, NDArray[np.float64]]:
    """Return the centre of a surface in LPS mm, and its covariance matrix in mm², by area."""
    weights = mesh.areas_mm2
    center = np.average(mesh.centers_mm, axis=0, weights=weights)
    offsets = mesh.centers_mm - center
    return center, (offsets * weights[:, None]).T @ offsets / weights.sum()


def shaft_axis(mesh: BoneMesh, start: Line, share: tuple[float, float] = WHOLE_SHAFT) -> Line | None:
    """Return the axis of a shaft: the line through the centroids of sections across it.

    Args:
        mesh: The bone.
        start: A first axis.
        share: Part of the length that is used, from the distal end of `start`.

    Returns:
        The axis in the direction of `start`; None if too few sections enclose it.
    """

    def zone(axis: Line) -> tuple[float, float]:
        """Return the first and the last position of the sections along an axis."""
        along = mesh.points_mm @ axis.direction
        low, high = float(along.min()), float(along.max())
        return low + share[0] * (high - low), low + share[1] * (high - low)

    return _fitted(mesh, start, zone)


def axis_between(mesh: BoneMesh, start: Line, center_mm: Point, near_mm: float, far_mm: float) -> Line | None:
    """Return the axis of a part of the shaft below a point, as :func:`shaft_axis` does.

    Args:
        mesh: The bone.
        start: A first axis, directed upwards.
        center_mm: The point, in LPS mm.
        near_mm: Distance below the point, along the axis, at which the part begins.
        far_mm: Distance at which it ends.
    """

    def zone(axis: Line) -> tuple[float, float]:
        """Return the first and the last position of the sections along an axis."""
        level = float(center_mm @ axis.direction)
        return level - far_mm, level - near_mm

    return _fitted(mesh, start, zone, whole_zone=True)


def _fitted(
    mesh: BoneMesh, start: Line, zone: Callable[[Line], tuple[float, float]], *, whole_zone: bool = False
) -> Line | None:
    axis = start
    for _ in range(_ITERATIONS):
        low, high = zone(axis)
        centroids = []
        for position, loops in _sections(mesh, axis, np.linspace(low, high, _SECTIONS)):
            chosen = loop_at(loops, axis, position)
            if chosen is not None:
                centroids.append(chosen.centroid_mm)
        if len(centroids) < (_SECTIONS - 1 if whole_zone else _LEAST_SECTIONS):
            return None
        fitted = _line_through(np.array(centroids))
        axis = Line(fitted.point_mm, fitted.direction * np.sign(fitted.direction @ axis.direction), fitted.rms_mm)
    return axis


def _sections(mesh: BoneMesh, axis: Line, positions: NDArray[np.float64]) -> Iterator[tuple[float, list[Loop]]]:
    return zip(positions, plane_sections(mesh, axis.direction, positions), strict=True)


def loop_at(loops: list[Loop], axis: Line, position_mm: float) -> Loop | None:
    """Return the largest outer curve of a section that encloses an axis, or None if none does.

    Args:
        loops: The curves of the section.
        axis: The axis, which crosses the plane of the section at a right angle.
        position_mm: Position of the plane along the axis.
    """
    point = axis.point_mm + (position_mm - axis.point_mm @ axis.direction) * axis.direction
    return loop_around(loops, point)


def _line_through(points: NDArray[np.float64]) -> Line:
    center = points.mean(axis=0)
    _, values, axes = np.linalg.svd(points - center, full_matrices=False)
    rms = float(np.sqrt((values[1:] ** 2).sum() / len(points)))
    return Line(center, axes[0], rms)


@dataclass(frozen=True)
class ShaftProfile:
    """Sections across the shaft axis along the whole bone.

    Attributes:
        levels: Level of each section as a share of the length, 0 at the proximal and 1 at the distal end, shape (n,).
        areas_mm2: Area of the section around the axis, shape (n,); NaN where no curve encloses it.
        centroids_mm: Its centroid in LPS mm, shape (n, 3).
        length_mm: Extent of the bone along the axis.
    """

    levels: NDArray[np.float64]
    areas_mm2: NDArray[np.float64]
    centroids_mm: NDArray[np.float64]
    length_mm: float

    @classmethod
    def of(cls, mesh: BoneMesh, axis: Line, *, step: float = 0.01) -> ShaftProfile:
        """Return the sections across an axis.

        Args:
            mesh: The bone.
            axis: The axis, directed upwards.
            step: Distance of the levels as a share of the length.
        """
        along = mesh.points_mm @ axis.direction
        low, high = float(along.min()), float(along.max())
        levels = np.arange(step / 2, 1, step)
        positions = high - levels * (high - low)
        areas, centroids = np.full(len(levels), np.nan), np.full((len(levels), 3), np.nan)
        for place, (position, loops) in enumerate(_sections(mesh, axis, positions)):
            loop = loop_at(loops, axis, position)
            if loop is not None:
                areas[place], centroids[place] = loop.area_mm2, loop.centroid_mm
        return cls(levels, areas, centroids, high - low)

    def area_at(self, level: float) -> float:
        """Return the area in mm² at a level, interpolated."""
        return float(np.interp(level, self.levels, self.areas_mm2))

    def isthmus(self) -> tuple[float, float]:
        """Return the equivalent diameter in mm of the smallest section at 30 to 75 % of the length, and its level.

        A parabola through the smallest value and its neighbours, smoothed over 3 % of the length, gives the level.
        """
        from scipy.ndimage import gaussian_filter1d

        inside = np.flatnonzero((self.levels >= 0.3) & (self.levels <= 0.75))
        # Levels near the ends have no section around the axis; the filter would spread their gaps.
        known = np.isfinite(self.areas_mm2)
        filled = np.interp(self.levels, self.levels[known], self.areas_mm2[known])
        areas = gaussian_filter1d(filled, 0.03 / (self.levels[1] - self.levels[0]))
        place = int(inside[np.argmin(areas[inside])])
        before, here, after = areas[place - 1 : place + 2]
        bend = before - 2 * here + after
        shift = float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend > 0 else 0.0
        smallest = float(here - (before - after) * shift / 4)
        return float(2 * np.sqrt(smallest / np.pi)), float(
            self.levels[place] + shift * (self.levels[1] - self.levels[0])
        )

    def bow_mm(self, direction: Point) -> float:
        """Return the distance of the middle of the shaft from the chord between its centroids at 20 and 80 %.

        Args:
            direction: Unit vector of the distance that counts as positive, such as to anterior.
        """
        top, middle, bottom = (self._centroid_at(level) for level in (0.2, 0.5, 0.8))
        return float((middle - (top + bottom) / 2) @ direction)

    def _centroid_at(self, level: float) -> Point:
        return np.array([np.interp(level, self.levels, self.centroids_mm[:, axis]) for axis in range(3)])
