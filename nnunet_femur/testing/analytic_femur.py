"""A femur of spheres, cylinders and a waisted neck, whose landmarks and angles are known exactly.

It tests a measurement: the truth follows from the construction, without a mesh or a mask. Its frame is that of a right
femur in LPS mm: x medial, y posterior, z upwards along the shaft axis, which passes through the origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.surface_mesh import Surface, isosurface
from nnunet_femur.testing.shapes import Cone, Ellipsoid, Points, Tube, bounding_box_mm, union

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.testing.shapes import Part

_SHARP_MM = 1e-3
"""Width of the fillets: none, so that all parts keep their exact shape."""

_MARGIN_STEPS = 3

_FLARE_MM = 110.0
"""Height below which the shaft widens to the condyles."""

_WAIST_PER_MM = 8e-5
"""Growth of the shaft's half axes with the square of the distance from the isthmus, per mm."""


@dataclass(frozen=True)
class Waist:
    """A neck: a hyperboloid with elliptical sections, narrowest at a known point; a part for `union`.

    Attributes:
        centre: Centre of the narrowest section (x, y, z) in mm.
        axis: Unit vector along the neck.
        across: Unit vector of the long half axis of all sections, perpendicular to `axis`.
        radii: Short and long half axis of the narrowest section in mm.
        flare_mm: Distance at which both half axes have grown by the square root of 2.
        reach: Ends along the axis, from the centre, in mm; both end flat.
    """

    centre: NDArray[np.float64]
    axis: NDArray[np.float64]
    across: NDArray[np.float64]
    radii: tuple[float, float]
    flare_mm: float
    reach: tuple[float, float]
    blend_mm: float = _SHARP_MM

    @property
    def box(self) -> NDArray[np.float64]:
        """Bounding box in mm, ((x, y, z) low, (x, y, z) high)."""
        ends = self.centre + np.outer(self.reach, self.axis)
        widest = max(self.radii) * np.sqrt(1 + (np.abs(self.reach).max() / self.flare_mm) ** 2)
        return np.stack([ends.min(0) - widest, ends.max(0) + widest])

    def distance(self, at: Points) -> NDArray[np.float32]:
        """Return a distance in mm, correct to first order at the surface, on the full grid of `at`."""
        offsets = [a - np.float32(c) for a, c in zip((at.x, at.y, at.z), self.centre, strict=True)]
        third = np.cross(self.axis, self.across)
        t, v, u = (
            sum(o * np.float32(d) for o, d in zip(offsets, direction, strict=True))
            for direction in (self.axis, self.across, third)
        )
        short, long = self.radii
        radial = np.sqrt((u / short) ** 2 + (v / long) ** 2 + np.float32(1e-6))
        wall = np.sqrt(1 + (t / self.flare_mm) ** 2)
        slope = np.sqrt(
            ((u / short**2) ** 2 + (v / long**2) ** 2) / radial**2 + (t / self.flare_mm**2 / wall) ** 2 + 1e-6
        )
        return np.asarray(
            np.maximum((radial - wall) / slope, np.maximum(self.reach[0] - t, t - self.reach[1])), np.float32
        )


@dataclass(frozen=True)
class AnalyticFemur:
    """A femur with known landmarks; the defaults are those of an average adult.

    Attributes:
        neck_shaft_angle_deg: Angle between the neck axis, towards the head, and the shaft axis, downwards.
        neck_version_deg: Direction of the neck axis in the plane across the shaft, from x (medial) towards anterior.
        head_mm: Centre of the head.
        head_radius_mm: Radius of the head.
        neck_length_mm: Distance from the base of the neck to the head's centre.
        waist_mm: Distance from the narrowest section to the head's centre.
        neck_radii_mm: Short and long half axis of the narrowest section; the short one is across the shaft axis.
        shaft_radii_mm: Half axes (x, y) of the shaft at its isthmus.
        isthmus_mm: Height of the isthmus.
        condyle_medial_mm: Centre of the sphere at the back of the medial condyle.
        condyle_lateral_mm: Centre of the sphere at the back of the lateral condyle.
        condyle_radii_mm: Radii of both spheres, medial first.
        distal_medial_mm: Centre of the sphere below the medial condyle.
        distal_lateral_mm: Centre of the sphere below the lateral condyle.
        distal_radii_mm: Radii of both, medial first.
        lesser_trochanter_mm: Height of the lesser trochanter's peak; 35 degrees from posterior towards medial.

    Example:
        >>> femur = AnalyticFemur(neck_shaft_angle_deg=130.0)
        >>> surface = femur.surface(step_mm=3.0)
        >>> 450 < surface.volume_ml < 650
        True
        >>> round(float(np.degrees(np.arccos(-femur.neck_axis[2]))), 6)
        130.0
    """

    neck_shaft_angle_deg: float = 125.0
    neck_version_deg: float = 12.0
    head_mm: tuple[float, float, float] = (46.0, -8.0, 425.0)
    head_radius_mm: float = 24.0
    neck_length_mm: float = 58.0
    waist_mm: float = 25.0
    neck_radii_mm: tuple[float, float] = (13.0, 15.0)
    shaft_radii_mm: tuple[float, float] = (13.0, 14.0)
    isthmus_mm: float = 240.0
    condyle_medial_mm: tuple[float, float, float] = (25.0, 22.0, 29.0)
    condyle_lateral_mm: tuple[float, float, float] = (-25.0, 22.0, 33.0)
    condyle_radii_mm: tuple[float, float] = (19.0, 19.0)
    distal_medial_mm: tuple[float, float, float] = (25.0, 2.0, 20.0)
    distal_lateral_mm: tuple[float, float, float] = (-25.0, 2.0, 27.0)
    distal_radii_mm: tuple[float, float] = (20.0, 20.0)
    lesser_trochanter_mm: float = 367.0

    @cached_property
    def neck_axis(self) -> NDArray[np.float64]:
        """Unit vector along the neck axis, towards the head."""
        angle, version = np.deg2rad([self.neck_shaft_angle_deg, self.neck_version_deg])
        return np.array([np.sin(angle) * np.cos(version), -np.sin(angle) * np.sin(version), -np.cos(angle)])

    @property
    def waist_center_mm(self) -> NDArray[np.float64]:
        """Centre of the narrowest section of the neck."""
        return np.array(self.head_mm) - self.waist_mm * self.neck_axis

    def shaft_half_axes_mm(self, height_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the half axes (x, y) of the shaft at heights above its flare, shape (n, 2)."""
        return np.add.outer(_WAIST_PER_MM * (height_mm - self.isthmus_mm) ** 2, self.shaft_radii_mm)

    @cached_property
    def parts(self) -> list[Part]:
        """Shapes whose union is the femur."""
        head = np.array(self.head_mm)
        base = head - self.neck_length_mm * self.neck_axis
        third = np.cross(self.neck_axis, [0.0, 0.0, 1.0])
        across = np.cross(third / np.linalg.norm(third), self.neck_axis)
        x, _ = self.shaft_radii_mm
        top = base[2] - 15
        heights = np.concatenate([[24.0, 45.0], np.linspace(_FLARE_MM, top, 40)])
        radii = np.concatenate([[[24, 16], [30, 20]], self.shaft_half_axes_mm(heights[2:])])
        turned = np.deg2rad(35)
        lesser = np.array([12 * np.sin(turned), 12 * np.cos(turned), self.lesser_trochanter_mm])
        spheres = [
            (self.head_mm, self.head_radius_mm),
            (base, 19.0),
            (lesser, 10.0),
            *zip((self.condyle_medial_mm, self.condyle_lateral_mm), self.condyle_radii_mm, strict=True),
            *zip((self.distal_medial_mm, self.distal_lateral_mm), self.distal_radii_mm, strict=True),
        ]
        return [
            Tube(heights, np.zeros((42, 2)), radii, _SHARP_MM),
            Cone(np.array([[0, 0, top], base]), (x, x), _SHARP_MM),
            Waist(
                self.waist_center_mm,
                self.neck_axis,
                across,
                self.neck_radii_mm,
                45.0,
                (self.waist_mm - self.neck_length_mm, self.waist_mm),
            ),
            Ellipsoid(base + np.array([-13, 4, 8]), np.array([15, 17, 26]), _SHARP_MM),
            *(Ellipsoid(np.array(c, float), np.full(3, r), _SHARP_MM) for c, r in spheres),
        ]

    def distance(self, at: Points) -> NDArray[np.float32]:
        """Return the signed distance in mm, negative inside, on the full grid of `at`."""
        return union(self.parts, at)

    def points(self, step_mm: float) -> tuple[Points, NDArray[np.float64]]:
        """Return the points of a grid around the femur, and the first of them in mm."""
        low, high = bounding_box_mm(self.parts)
        # An irrational part of a step, so that no flat face is exactly on the grid.
        start = low - step_mm * (_MARGIN_STEPS + 1 / np.array([np.pi, np.e, np.sqrt(2)]))
        size = np.ceil((high - start) / step_mm).astype(int) + _MARGIN_STEPS
        x, y, z = (s + step_mm * np.arange(n) for s, n in zip(start, size, strict=True))
        plane = (1, len(y), len(x))
        return Points(np.broadcast_to(x, plane), np.broadcast_to(y[:, None], plane), z[:, None, None]), start

    def surface(self, *, step_mm: float = 1.25) -> Surface:
        """Return the surface as a closed mesh, whose corners are within about `step_mm`**2 / 200 of the true one."""
        grid, start = self.points(step_mm)
        points, triangles = isosurface(0.5 - self.distance(grid), np.full(3, step_mm))
        points += start
        surface = Surface(points, triangles)
        return surface if surface.volume_ml > 0 else Surface(points, triangles[:, ::-1])
