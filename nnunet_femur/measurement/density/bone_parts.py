"""Parts of a femur: head, neck, trochanteric region, shaft and condyles, a part for each voxel.

All borders are planes that are defined by landmarks and multiples of the head radius R, so a part does not depend on
the position of the bone in the volume. Length along the shaft is used only where the distal end is present.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.femur_measurements import Missing
from nnunet_femur.measurement.landmarks import unit
from nnunet_femur.measurement.shape.shaft import PROXIMAL_SHAFT_RADII

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nnunet_femur.measurement.landmarks import Anatomy, Line, Point, Sphere

HEAD, NECK, TROCHANTER, UPPER_SHAFT, LOWER_SHAFT, CONDYLES, REST = range(1, 8)
"""Label of each part; the shaft is upper and lower shaft, and REST is below the trochanteric region of a cut bone."""

PARTS = {
    "head": (HEAD,),
    "neck": (NECK,),
    "trochanter": (TROCHANTER,),
    "upper_shaft": (UPPER_SHAFT,),
    "shaft": (UPPER_SHAFT, LOWER_SHAFT),
    "condyles": (CONDYLES,),
}
"""Labels of each measured part, by the name that keys contain."""

HEAD_END_R, NECK_END_R = 0.5, 1.5
"""Ends of head and neck along the neck axis, from the head centre towards the shaft, in head radii."""

TROCHANTER_END_R = 2.8
"""End of the trochanteric region below the head centre, in head radii.

It is a multiple of the radius, and not the level of the lesser trochanter itself, since a femur without its distal end
has no posterior direction in which the lesser trochanter could be found.
"""

UPPER_SHAFT_END_R = PROXIMAL_SHAFT_RADII[1]
"""End of the upper shaft below the head centre, in head radii; the proximal shaft axis is fitted down to it."""

PART_DEFINITIONS = {
    "head": f"head: proximal to the plane across the neck axis at {HEAD_END_R:g} R from the head centre",
    "neck": f"neck: between the planes across the neck axis at {HEAD_END_R:g} R and {NECK_END_R:g} R from the head "
    "centre, and within R of the neck axis",
    "trochanter": "trochanteric region: below head and neck, to the plane across the proximal shaft axis at "
    f"{TROCHANTER_END_R:g} R below the head centre, near the lower edge of the lesser trochanter",
    "upper_shaft": f"upper shaft: between the planes across the proximal shaft axis at {TROCHANTER_END_R:g} R and "
    f"{UPPER_SHAFT_END_R:g} R below the head centre; also present in a femur without its distal end",
    "shaft": "shaft: between the trochanteric region and the condyles",
    "condyles": "condyles: the distal end, as long along the shaft axis as it is wide (the rule of squares)",
}
"""Definition of each part; R is the head radius."""

PART_SOURCES = {
    "trochanter": "AO/OTA classification (2018): the proximal segment ends at the lower edge of the lesser trochanter, "
    "whose peak is 2.32 ± 0.16 R below the head centre (BMC Musculoskelet Disord 2021, 22)",
    "shaft": "AO/OTA classification (2018)",
    "condyles": "AO/OTA classification (2018): Mueller's rule of squares for end segments",
}

_DISTAL_SHARE = 0.15
"""Part of the length, from the distal end, whose width the rule of squares uses."""


@dataclass(frozen=True)
class BoneParts:
    """Parts of a femur.

    Attributes:
        labels: Label of each voxel's part; 0 where no part is defined; shape (n,).
        missing: Reason for each part that cannot be determined, by name.
    """

    labels: NDArray[np.uint8]
    missing: Mapping[str, Missing]

    def of(self, part: str) -> NDArray[np.bool_]:
        """Return the voxels of a part as a boolean array of shape (n,)."""
        return np.isin(self.labels, PARTS[part])


@dataclass(frozen=True)
class ShaftLevels:
    """Levels along the whole-shaft axis.

    Attributes:
        axis: Whole-shaft axis, upwards.
        top_mm: Position of the highest point of the bone along the axis, from the axis point.
        length_mm: Length of the bone along the axis.

    Example:
        >>> from nnunet_femur.measurement.landmarks import Line
        >>> levels = ShaftLevels(Line(np.zeros(3), np.array([0.0, 0.0, 1.0])), 220.0, 400.0)
        >>> levels.depths_mm(np.array([[3.0, 4.0, 0.0]])).tolist()
        [220.0]
    """

    axis: Line
    top_mm: float
    length_mm: float

    def depths_mm(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distances of points below the highest point of the bone along the axis, shape (n,)."""
        return self.top_mm - heights_mm(points_mm, self.axis.direction, self.axis.point_mm)


def heights_mm(points_mm: NDArray[np.float64], axis: Point, above_mm: Point) -> NDArray[np.float64]:
    """Return the positions of points along a unit vector, measured from a point, shape (n,).

    Args:
        points_mm: The points in LPS mm, shape (n, 3).
        axis: The unit vector.
        above_mm: The point in LPS mm, at which the position is 0.

    Example:
        >>> heights_mm(np.array([[1.0, 2.0, 3.0]]), np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 5.0])).tolist()
        [-2.0]
    """
    # A product of the points alone is several times faster than one of their differences to the point.
    return np.asarray(points_mm @ axis - above_mm @ axis)


def shaft_levels(anatomy: Anatomy) -> ShaftLevels | None:
    """Return the levels along the shaft of a whole femur; None without head, shaft axis or distal end."""
    if anatomy.shaft is None or anatomy.distal is None or anatomy.head is None:
        return None
    along = heights_mm(anatomy.surface.points_mm, anatomy.shaft.direction, anatomy.shaft.point_mm)
    low, high = float(along.min()), float(along.max())
    return ShaftLevels(anatomy.shaft, high, high - low)


def parts_of(points_mm: NDArray[np.float64], anatomy: Anatomy, reasons: Mapping[str, Missing]) -> BoneParts:
    """Return the part of each voxel of a femur.

    Args:
        points_mm: Centres of the voxels in LPS mm, shape (n, 3).
        anatomy: Landmarks of the femur.
        reasons: Reason for each quantity that could not be measured, by key, from the measurements of the mask.

    Example:
        >>> from nnunet_femur.imaging.surface_mesh import Surface
        >>> from nnunet_femur.measurement.landmarks import Anatomy
        >>> nothing = Anatomy(Surface(np.empty((0, 3)), np.empty((0, 3), np.int64)))
        >>> sorted(parts_of(np.zeros((1, 3)), nothing, {}).missing)
        ['condyles', 'head', 'neck', 'shaft', 'trochanter', 'upper_shaft']
    """
    labels = np.zeros(len(points_mm), np.uint8)
    missing = dict.fromkeys(PARTS, reasons.get("head_center_mm_lps", _NO_HEAD))
    head, neck, axis = anatomy.head, anatomy.neck, anatomy.proximal_shaft
    if head is None:
        return BoneParts(labels, missing)
    if neck is None:
        return BoneParts(labels, dict.fromkeys(PARTS, reasons.get("neck_center_mm_lps", _NO_NECK)))
    _label_neck(labels, points_mm, head, unit(head.center_mm - neck.center_mm))
    del missing["head"], missing["neck"]
    if axis is None:
        missing.update(dict.fromkeys(missing, reasons.get("proximal_shaft_axis_lps", _NO_SHAFT)))
        return BoneParts(labels, missing)
    depths = heights_mm(points_mm, axis.direction, head.center_mm) / -head.radius_mm
    below = depths >= TROCHANTER_END_R
    labels[(labels == 0) & ~below] = TROCHANTER
    labels[below] = np.where(depths[below] < UPPER_SHAFT_END_R, UPPER_SHAFT, REST)
    del missing["trochanter"], missing["upper_shaft"]
    levels = shaft_levels(anatomy)
    if levels is None or anatomy.distal is None:
        missing.update(dict.fromkeys(("shaft", "condyles"), reasons.get("knee_center_mm_lps", _NO_DISTAL_END)))
        return BoneParts(labels, missing)
    labels[labels == REST] = LOWER_SHAFT
    labels[levels.depths_mm(points_mm) > levels.length_mm - distal_width_mm(anatomy, levels)] = CONDYLES
    return BoneParts(labels, {})


def distal_width_mm(anatomy: Anatomy, levels: ShaftLevels) -> float:
    """Return the width of the distal end from medial to lateral in mm, across the shaft axis."""
    points_mm = anatomy.surface.points_mm
    distal = points_mm[levels.depths_mm(points_mm) > (1 - _DISTAL_SHARE) * levels.length_mm]
    sideways = anatomy.medial
    if sideways is None:
        sideways = np.linalg.svd(np.cov((distal - distal.mean(0)).T))[0][:, 0]
    return float(np.ptp(distal @ sideways))


def _label_neck(labels: NDArray[np.uint8], points_mm: NDArray[np.float64], head: Sphere, axis: NDArray) -> None:
    """Label head and neck in place; `axis` is the neck axis towards the head."""
    towards_shaft = -heights_mm(points_mm, axis, head.center_mm)
    labels[towards_shaft < HEAD_END_R * head.radius_mm] = HEAD
    beside = np.flatnonzero((labels != HEAD) & (towards_shaft < NECK_END_R * head.radius_mm))
    squares = ((points_mm[beside] - head.center_mm) ** 2).sum(1) - towards_shaft[beside] ** 2
    labels[beside[squares <= head.radius_mm**2]] = NECK


_NO_HEAD = Missing("head-missing", "No femoral head was found.")
_NO_NECK = Missing("neck-missing", "No femoral neck was found.")
_NO_SHAFT = Missing("shaft-missing", "No shaft below the trochanters was found.")
_NO_DISTAL_END = Missing("distal-end-missing", "The mask does not contain the distal end.")
