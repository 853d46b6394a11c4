"""Find what protrudes from the head or from below the condyles: a fragment, or a part of the next bone.

Spheres and axes hardly change by it, but lengths and the joint line rest on single points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.femur_measurements import Missing
from nnunet_femur.measurement.landmarks import unit

if TYPE_CHECKING:
    from nnunet_femur.measurement.landmarks import Anatomy, DistalFemur, Neck, Point, Sphere
    from nnunet_femur.measurement.shape.mesh import BoneMesh

_BUMP_MM, _BUMP_MM2 = 3.0, 100.0
"""Distance from the head's sphere, and area of the surface beyond it, that a head does not have.

The surface of a whole head is at most 2 mm from the sphere within the cone.
"""

_BUMP_CONE_DEG = 80.0
"""Half angle of the cone about the direction away from the neck in which the head is compared with its sphere."""

_REACH_RADII = 2.0
"""Distance of the lowest point from the knee centre in radii of the condyle spheres; whole femurs have 1.3 to 1.6."""

_CONTACT_MM, _CONTACT_MM2 = 3.0, 200.0
"""Depth of the surface around a contact with the joint line, and its least area.

Condyles of whole femurs have 250 mm² or more, and a ball of 8 mm on a condyle 100 to 165 mm².
"""

_AROUND_MM = 15.0
"""Largest distance, across the direction of the contact, of the surface around it."""

OF_HEAD = ("length_longest_mm", "length_bicondylar_mm")
"""Quantities that a protrusion of the head changes."""

OF_CONDYLES = (*OF_HEAD, "mldfa_deg", "aldfa_deg")
"""Quantities that a protrusion below the condyles changes."""


def protrusions(mesh: BoneMesh, anatomy: Anatomy, *, voxel_mm: float = 0.0) -> dict[str, Missing]:
    """Return the quantities that something at the head or below the condyles makes wrong, with the reason.

    Args:
        mesh: Closed surface of a femur.
        anatomy: Its landmarks.
        voxel_mm: Largest spacing of the mask; 0 for a surface that was not made of voxels.
    """
    found: dict[str, Missing] = {}
    if anatomy.head is not None and anatomy.neck is not None:
        area_mm2 = beyond_head_mm2(mesh, anatomy.head, anatomy.neck, distance_mm=max(_BUMP_MM, voxel_mm))
        if area_mm2 > _BUMP_MM2:
            text = f"{area_mm2:.0f} mm² of the surface protrude from the sphere of the head."
            found |= dict.fromkeys(OF_HEAD, Missing("head-protrusion", text))
    if anatomy.distal is not None and anatomy.up is not None:
        radii = reach_below_knee(mesh, anatomy.distal, anatomy.up)
        contacts = (anatomy.distal.distal_medial_mm, anatomy.distal.distal_lateral_mm)
        depth_mm = max(_CONTACT_MM, voxel_mm)
        smallest_mm2 = min(contact_mm2(mesh, point, -anatomy.up, depth_mm=depth_mm) for point in contacts)
        if smallest_mm2 < _CONTACT_MM2:
            text = (
                f"A condyle touches the joint line with a point (only {smallest_mm2:.0f} mm² within {depth_mm:.0f} mm)."
            )
            found |= dict.fromkeys(OF_CONDYLES, Missing("distal-protrusion", text))
        elif radii > _REACH_RADII:
            text = f"The bone reaches {radii:.1f} condyle radii below the knee centre; whole femurs reach 1.3 to 1.6."
            found |= dict.fromkeys(OF_CONDYLES, Missing("distal-protrusion", text))
    return found


def beyond_head_mm2(mesh: BoneMesh, head: Sphere, neck: Neck, *, distance_mm: float = _BUMP_MM) -> float:
    """Return the area of the surface that is outside the head's sphere, opposite the neck, in mm².

    Args:
        mesh: The surface.
        head: The sphere.
        neck: The neck, in the opposite direction.
        distance_mm: Distance from the sphere from which the surface counts.
    """
    away = unit(head.center_mm - neck.center_mm)
    radial = mesh.centers_mm - head.center_mm
    distances = np.linalg.norm(radial, axis=1)
    opposite = radial @ away > np.cos(np.deg2rad(_BUMP_CONE_DEG)) * distances
    near = distances < 3 * head.radius_mm
    return float(mesh.areas_mm2[opposite & near & (distances > head.radius_mm + distance_mm)].sum())


def contact_mm2(mesh: BoneMesh, point_mm: Point, outwards: Point, *, depth_mm: float = _CONTACT_MM) -> float:
    """Return the area of the surface around a contact with a plane, up to a depth behind its outermost point, in mm².

    Args:
        mesh: The surface.
        point_mm: A point near the contact, in LPS mm.
        outwards: Unit normal of the plane.
        depth_mm: The depth.
    """
    offsets = mesh.centers_mm - point_mm
    heights = offsets @ outwards
    across_mm2 = np.einsum("ij,ij->i", offsets, offsets) - heights**2
    around = (across_mm2 < _AROUND_MM**2) & (np.abs(heights) < _AROUND_MM) & (mesh.normals @ outwards > 0)
    if not around.any():
        return 0.0
    return float(mesh.areas_mm2[around & (heights > heights[around].max() - depth_mm)].sum())


def reach_below_knee(mesh: BoneMesh, distal: DistalFemur, up: Point) -> float:
    """Return the distance of the lowest point from the knee centre along the shaft, in radii of the condyles."""
    radius = (distal.medial_condyle.radius_mm + distal.lateral_condyle.radius_mm) / 2
    return float((distal.knee_center_mm @ up - (mesh.points_mm @ up).min()) / radius)
