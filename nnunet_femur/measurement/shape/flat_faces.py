"""Find the flat face that a planar cut leaves at the end of a bone.

A planar cut leaves the bone on one side of a plane, so the plane of the cut touches the surface in a large flat face.
The ends of a whole femur are round: a plane touches the head, or both condyles, in small faces only. The search does
not depend on the axes of the volume, so it also finds oblique cuts and cuts of volumes that were resampled later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.landmarks import plane_axes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.measurement.landmarks import Point
    from nnunet_femur.measurement.shape.mesh import BoneMesh

END_MM = 80.0
"""Length of the part at each end in which flat faces are searched; it contains cuts that are tilted by 30 degrees."""

LARGEST_TILT_DEG = 40.0
"""Largest angle between the axis and the normal of a flat face at an end; the side of a trochanter is beyond it."""

_STEP_DEG = 5.0
"""Angle between neighbouring directions of the first search."""

_FLAT_MM = 1.0
"""Largest distance of a flat face from its plane."""

_DEPTH_MM = 3.0
"""Largest distance of a flat face from the outermost point, which may be noise."""

_SEARCHED = 3000
"""Number of triangles of the first search."""

_ALIGNED = 0.8
"""Least cosine between the normals of a flat face and that of its plane."""

_BIN_MM = 0.25

_INNER_MM = 10.0
"""Distance of the section that a flat face is compared with."""


@dataclass(frozen=True)
class _Facets:
    """Some triangles of a mesh: centroids in mm, unit normals that point outwards, and areas in mm²."""

    centers_mm: NDArray[np.float64]
    normals: NDArray[np.float64]
    areas_mm2: NDArray[np.float64]

    def __getitem__(self, kept: NDArray | slice) -> _Facets:
        return _Facets(self.centers_mm[kept], self.normals[kept], self.areas_mm2[kept])


@dataclass(frozen=True)
class FlatFace:
    """The largest flat face at one end of a bone.

    Attributes:
        area_mm2: Area of the surface within 1 mm of the plane, with normals within 37 degrees of the plane's.
        inner_mm2: Area of the section 10 mm further in, parallel to the face.
        normal: Unit normal in LPS, outwards.
        tilt_deg: Angle between the normal and the axis.
        center_mm: Centroid of the face in LPS mm.
    """

    area_mm2: float
    inner_mm2: float
    normal: Point
    tilt_deg: float
    center_mm: Point

    @property
    def share(self) -> float:
        """Area of the face by area of the section 10 mm further in; 0 if there is no such section."""
        return self.area_mm2 / self.inner_mm2 if self.inner_mm2 > 0 else 0.0

    @property
    def weight_mm2(self) -> float:
        """Area of the face times its share, which separates cuts from round ends better than either."""
        return self.area_mm2 * self.share


def flat_face(mesh: BoneMesh, axis_out: Point) -> FlatFace:
    """Return the largest flat face at one end of a bone.

    Args:
        mesh: The closed surface.
        axis_out: Unit vector along the bone towards that end.
    """
    facets = _Facets(mesh.centers_mm, mesh.normals, mesh.areas_mm2)
    along_mm = facets.centers_mm @ axis_out
    end = facets[along_mm > along_mm.max() - END_MM]
    outward = end[end.normals @ axis_out > np.cos(np.radians(LARGEST_TILT_DEG + 25))]
    best = FlatFace(0.0, 0.0, axis_out, 0.0, end.centers_mm[int(np.argmax(end.centers_mm @ axis_out))])
    if not len(outward.areas_mm2):
        return best
    directions = _cone(axis_out, LARGEST_TILT_DEG, _STEP_DEG)
    sample = outward[:: max(1, len(outward.areas_mm2) // _SEARCHED)]
    areas, levels = _contact(sample, directions, 2 * _FLAT_MM)
    for number in np.argsort(-areas)[:5]:
        face = _refined(outward, directions[number], levels[number])
        if face is not None and face[0] > best.area_mm2:
            area, normal, center = face
            tilt = float(np.degrees(np.arccos(np.clip(normal @ axis_out, -1, 1))))
            if tilt > LARGEST_TILT_DEG + _STEP_DEG:
                continue
            best = FlatFace(area, 0.0, normal, tilt, center)
    level = float(best.center_mm @ best.normal) - _INNER_MM
    inner = section_area_mm2(mesh, best.normal, level)
    return FlatFace(best.area_mm2, inner, best.normal, best.tilt_deg, best.center_mm)


def section_area_mm2(mesh: BoneMesh, normal: Point, level_mm: float) -> float:
    """Return the area of the section of a closed surface by a plane, in mm².

    It is the flux of a constant field through the part of the surface beyond the plane.

    Args:
        mesh: The surface.
        normal: Unit normal of the plane.
        level_mm: Position of the plane along the normal.
    """
    beyond = mesh.centers_mm @ normal > level_mm
    return float((mesh.normals[beyond] @ normal) @ mesh.areas_mm2[beyond])


def _contact(facets: _Facets, directions: NDArray, width_mm: float) -> tuple[NDArray, NDArray]:
    """Return the largest area of a flat face across each direction, and its level along the direction in mm."""
    heights = facets.centers_mm @ directions.T
    depths = heights.max(axis=0) - heights
    bins = int(np.ceil((_DEPTH_MM + width_mm) / _BIN_MM))
    facing = (facets.normals @ directions.T > _ALIGNED) & (depths < bins * _BIN_MM)
    rows, columns = np.nonzero(facing)
    index = columns * bins + (depths[facing] / _BIN_MM).astype(int)
    areas = np.bincount(index, facets.areas_mm2[rows], len(directions) * bins).reshape(-1, bins)
    width = round(width_mm / _BIN_MM)
    sums = np.concatenate([np.zeros((len(directions), 1)), np.cumsum(areas, axis=1)], axis=1)
    windows = sums[:, width:] - sums[:, :-width]
    first = windows.argmax(axis=1)
    levels = heights.max(axis=0) - (first + width / 2) * _BIN_MM
    return windows[np.arange(len(directions)), first], levels


def _refined(facets: _Facets, direction: Point, level: float) -> tuple[float, Point, Point] | None:
    """Return area, normal and centroid of the face near a plane, after fits of the plane to it."""
    for _ in range(4):
        near = (np.abs(facets.centers_mm @ direction - level) < _FLAT_MM) & (facets.normals @ direction > _ALIGNED)
        face = facets[near]
        if len(face.areas_mm2) < 4:
            return None
        center = np.average(face.centers_mm, axis=0, weights=face.areas_mm2)
        offsets = face.centers_mm - center
        normal = np.linalg.eigh((offsets * face.areas_mm2[:, None]).T @ offsets)[1][:, 0]
        normal = normal * np.sign(normal @ direction)
        if normal @ direction < _ALIGNED:
            return None
        direction, level = normal, float(center @ normal)
    area, levels = _contact(facets, direction[None], 2 * _FLAT_MM)
    return float(area[0]), direction, center + (levels[0] - center @ direction) * direction


def _cone(axis: Point, most_deg: float, step_deg: float) -> NDArray[np.float64]:
    """Return unit vectors around an axis, shape (n, 3), about `step_deg` apart."""
    x, y = plane_axes(axis)
    vectors = [axis[None]]
    for tilt in np.radians(np.arange(step_deg, most_deg + 1e-6, step_deg)):
        count = int(np.ceil(2 * np.pi * np.sin(tilt) / np.radians(step_deg)))
        turn = 2 * np.pi * np.arange(count)[:, None] / count
        vectors.append(np.cos(tilt) * axis + np.sin(tilt) * (np.cos(turn) * y - np.sin(turn) * x))
    return np.concatenate(vectors)
