"""Anatomical landmarks of one femur: sphere, axes, and lines, in LPS millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.imaging.surface_mesh import Surface

    Point = NDArray[np.float64]
    """Position or direction in LPS, shape (3,)."""


@dataclass(frozen=True)
class Line:
    """A line in space.

    Attributes:
        point_mm: A point on the line, in LPS mm.
        direction: Unit vector in LPS.
        rms_mm: Root mean square of the distances of the points that it was fitted to, in mm; 0 for an exact line.

    Example:
        >>> axis = Line(np.zeros(3), np.array([0.0, 0.0, 1.0]))
        >>> axis.distance_mm(np.array([3.0, 4.0, 10.0]))
        5.0
    """

    point_mm: Point
    direction: Point
    rms_mm: float = 0.0

    def nearest(self, point_mm: Point) -> Point:
        """Return the point of the line nearest to a point, in LPS mm."""
        return self.point_mm + ((point_mm - self.point_mm) @ self.direction) * self.direction

    def distance_mm(self, point_mm: Point) -> float:
        """Return the distance of a point from the line in mm."""
        return float(np.linalg.norm(point_mm - self.nearest(point_mm)))


@dataclass(frozen=True)
class Sphere:
    """A sphere fitted to a part of the surface.

    Attributes:
        center_mm: Centre in LPS mm.
        radius_mm: Radius in mm.
        rms_mm: Root mean square distance of the fitted surface from the sphere, in mm.
        covered: Share of the sphere's area that the fitted surface covers, 0 to 1.
    """

    center_mm: Point
    radius_mm: float
    rms_mm: float = 0.0
    covered: float = 0.0


@dataclass(frozen=True)
class Neck:
    """The femoral neck.

    Its sections are across the neck axis, which leads from its centre to the head's.

    Attributes:
        center_mm: Mean centroid of its sections near the narrowest one, in LPS mm.
        outline_mm: Closed outline of the narrowest section in LPS mm, shape (n, 3).
        area_mm2: Area of that section.
        width_min_mm: Smallest distance of two parallel lines that touch the outline from both sides.
        width_max_mm: Largest such distance.
    """

    center_mm: Point
    outline_mm: NDArray[np.float64]
    area_mm2: float
    width_min_mm: float
    width_max_mm: float


@dataclass(frozen=True)
class DistalFemur:
    """The distal end.

    Attributes:
        posterior_medial_mm: Contact point of the posterior condylar line with the medial condyle, LPS mm.
        posterior_lateral_mm: Contact point with the lateral condyle.
        distal_medial_mm: Contact point of the distal joint line with the medial condyle, LPS mm.
        distal_lateral_mm: Contact point with the lateral condyle.
        medial_condyle: Sphere fitted to the posterior medial condyle.
        lateral_condyle: Sphere fitted to the posterior lateral condyle.
        knee_center_mm: Middle of the centres of the two spheres, LPS mm.
        to_medial: Direction of the posterior condylar line to medial: unit vector in LPS, across the shaft axis.
        posterior: Unit vector to posterior, perpendicular to the shaft axis and to `to_medial`.
        notch_mm: Highest point of the distal outline between the condyles, LPS mm.
        flank_medial_mm: Most prominent point of the medial flank, LPS mm; it is near the epicondyle, but not the same.
        flank_lateral_mm: Most prominent point of the lateral flank, likewise.
    """

    posterior_medial_mm: Point
    posterior_lateral_mm: Point
    distal_medial_mm: Point
    distal_lateral_mm: Point
    medial_condyle: Sphere
    lateral_condyle: Sphere
    knee_center_mm: Point
    to_medial: Point
    posterior: Point
    notch_mm: Point
    flank_medial_mm: Point
    flank_lateral_mm: Point


@dataclass(frozen=True)
class Anatomy:
    """Landmarks of one femur; None for those that the mask does not contain.

    Attributes:
        surface: Surface of the mask that the landmarks were found on, LPS mm.
        side: Side by the shape: "left", "right", or "unknown".
        up: Unit vector along the shaft from distal to proximal; None if the proximal end is unknown.
        shaft: Whole-shaft axis; its direction is `up`.
        proximal_shaft: Axis of the shaft below the lesser trochanter; its direction is upwards.
        head: Sphere of the head.
        neck: Centre and narrowest section of the neck.
        lesser_trochanter_mm: Point of the proximal shaft axis at the level of the lesser trochanter's peak, LPS mm.
        distal: Landmarks of the distal end.
        medial: Unit vector to medial, perpendicular to the shaft; None without a head.
        posterior: Unit vector to posterior, perpendicular to the shaft, and also to `medial` if `distal` is known; None
            without a distal end.
    """

    surface: Surface
    side: str = "unknown"
    up: Point | None = None
    shaft: Line | None = None
    proximal_shaft: Line | None = None
    head: Sphere | None = None
    neck: Neck | None = None
    lesser_trochanter_mm: Point | None = None
    distal: DistalFemur | None = None
    medial: Point | None = None
    posterior: Point | None = None

    @property
    def mechanical(self) -> Line | None:
        """Mechanical axis: from the knee centre to the head centre; None if one of them is missing."""
        if self.head is None or self.distal is None:
            return None
        return Line(self.distal.knee_center_mm, unit(self.head.center_mm - self.distal.knee_center_mm))


def unit(vector: Point) -> Point:
    """Return a vector scaled to length 1.

    Example:
        >>> unit(np.array([0.0, 3.0, 4.0])).tolist()
        [0.0, 0.6, 0.8]
    """
    return np.asarray(vector / np.linalg.norm(vector))


def across(vectors: NDArray[np.float64], axis: Point) -> NDArray[np.float64]:
    """Return the part of a vector, shape (3,), or of several, shape (n, 3), that is perpendicular to a unit vector.

    Example:
        >>> across(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0])).tolist()
        [1.0, 2.0, 0.0]
    """
    return np.asarray(vectors - (vectors @ axis)[..., None] * axis)


def plane_axes(normal: Point) -> tuple[Point, Point]:
    """Return two unit vectors that span the plane with a unit normal; x, y and the normal are right-handed.

    Example:
        >>> x, y = plane_axes(np.array([0.0, 0.0, 1.0]))
        >>> np.cross(x, y).tolist()
        [0.0, 0.0, 1.0]
    """
    x = unit(across(np.eye(3)[int(np.argmin(np.abs(normal)))], normal))
    return x, np.cross(normal, x)
