"""Decide which parts of a femur a mask contains, and give a reason for each part that is missing.

Every quantity needs a part of the bone (:attr:`Quantity.needs`). A cut at the knee leaves the head, the neck and their
angle to the shaft. Without a whole head, only volume and areas are left: which end is the proximal one is then a guess.

The thresholds were chosen on one half of 50 femurs and tried on the other half (``benchmarks/cut_ends.py``). The limit
of flat faces at the distal end was raised afterwards, because a whole bone of the other half came close to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.femur_measurements import Missing
from nnunet_femur.measurement.landmarks import Anatomy
from nnunet_femur.measurement.shape.flat_faces import flat_face
from nnunet_femur.measurement.shape.locating import locate_distal_end, locate_head, locate_neck
from nnunet_femur.measurement.shape.mesh_sections import plane_sections
from nnunet_femur.measurement.shape.protrusions import protrusions
from nnunet_femur.measurement.shape.shaft import PROXIMAL_SHAFT_RADII, elongation, principal_axis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nnunet_femur.measurement.landmarks import Point, Sphere
    from nnunet_femur.measurement.shape.border import BorderContact
    from nnunet_femur.measurement.shape.flat_faces import FlatFace
    from nnunet_femur.measurement.shape.mesh import BoneMesh

PROXIMAL_PARTS = ("head", "neck", "proximal-shaft")
"""Values of :attr:`Quantity.needs` for which the proximal part of a femur is enough."""

PARTS = (*PROXIMAL_PARTS, "whole")
"""All values of :attr:`Quantity.needs` that only a femur has; volume and areas need any bone."""

SHORTEST_MM, LONGEST_MM = 150.0, 580.0
"""Shortest part of a femur that has angles, and a length that no femur has."""

LEAST_ELONGATION, LEAST_OF_PART = 3.5, 2.0
"""Least ratio of the two largest standard deviations of the surface; whole femurs have 6.4 to 8.7.

The second limit is that of a bone with the stump of a shaft: the proximal 15 to 25 cm of a femur have 2.0 to 3.5.
"""

_STUMP, _LARGEST_STUMP_MM2 = (0.04, 0.25), 1500.0
"""Part of the length in which a stump is a tube, and its largest section."""

_TUBE = 1.6
"""Largest ratio of the sections of a tube."""

HEAD_RADII_MM = (17.0, 31.0)
LEAST_COVERED, MOST_RMS_MM = 0.55, 0.9
"""Least part of the sphere that a head covers, and its largest residual; other ends of a bone cover less than 0.53."""

PROXIMAL_FLAT_MM2, DISTAL_FLAT_MM2 = 250.0, 370.0
"""Largest :attr:`FlatFace.weight_mm2` of a whole femur: on its head or greater trochanter, and on both condyles.

Those of 50 femurs are up to 224 and 324; after 3 % of the length was cut off, they are 436 or more.
"""

FLAT_SHARE = 0.5
"""Largest :attr:`FlatFace.share` of a whole femur; that of a cut shaft is larger, at any size of the bone."""

THIN_MM = 3.0
"""Spacing up to which these limits hold. A thicker slice is itself a flat face; the areas grow with its thickness."""

LEAST_FLARE = 4.0
"""Least ratio of the largest distal section to the smallest section of the shaft; whole femurs have 5.4 to 8.6."""

SHORTEST_RADII, LONGEST_RADII = 15.0, 26.0
"""Length in head radii that no whole femur has; those of the cohort have 17.5 to 22.2."""

_LEAST_OFFSET_RADII = 0.6
"""Least distance of the head's centre from the shaft axis in head radii; that of whole femurs is 1.0 to 2.7."""

_LEVELS = 200
"""Levels along a bone at which its sections are compared."""

_SECOND_BONE_MM2 = 80.0
"""Least section of a second bone beside the shaft."""


@dataclass(frozen=True)
class Completeness:
    """Parts of a femur that cannot be measured, with the reason.

    Attributes:
        reasons: Reason by part of the bone, as in :attr:`Quantity.needs`.
        of_keys: Reason by key of a quantity, for those that something beside the bone changes.

    Example:
        >>> cut = Completeness({"whole": Missing("distal-end-cut", "The distal end is cut.")})
        >>> cut.reason("head"), cut.reason("whole").code
        (None, 'distal-end-cut')
    """

    reasons: Mapping[str, Missing] = field(default_factory=lambda: MappingProxyType({}))
    of_keys: Mapping[str, Missing] = field(default_factory=lambda: MappingProxyType({}))

    def reason(self, needs: str, key: str = "") -> Missing | None:
        """Return the reason why a quantity cannot be measured, or None if it can.

        Args:
            needs: Part of the bone that it needs.
            key: Its key.
        """
        return self.reasons.get(needs) or self.of_keys.get(key)

    @property
    def is_whole(self) -> bool:
        """True if no part is missing."""
        return not self.reasons


def examine(
    mesh: BoneMesh, *, border: Sequence[BorderContact] = (), voxel_mm: float = 0.0
) -> tuple[Anatomy, Completeness]:
    """Return the landmarks of a bone, and the parts of a femur that it does not contain as a whole.

    Args:
        mesh: Closed surface of one bone.
        border: Places at which the mask is cut by the border of its volume.
        voxel_mm: Largest spacing of the mask; 0 for a surface that was not made of voxels.

    Returns:
        The landmarks of the parts that are whole, and the reasons for the others.
    """
    anatomy = Anatomy(mesh.surface)
    reason = no_femur(mesh)
    if reason is not None:
        return anatomy, _without(PARTS, reason)
    anatomy = locate_head(mesh)
    state = assess(mesh, anatomy, border=border, voxel_mm=voxel_mm)
    if "head" in state.reasons:
        return Anatomy(mesh.surface), state
    anatomy = locate_neck(mesh, anatomy)
    if anatomy.neck is None:
        # A condyle may be as round as a head, but it has no neck.
        return Anatomy(mesh.surface), _without(PARTS, _NO_NECK)
    reasons = dict(state.reasons)
    if anatomy.proximal_shaft is None:
        text = f"The shaft ends less than {PROXIMAL_SHAFT_RADII[1]:g} head radii below the head's centre."
        reasons["proximal-shaft"] = Missing("too-short", text)
    if "whole" in reasons:
        # The axis of a part of the shaft is not that of the whole one.
        return replace(anatomy, shaft=None), Completeness(reasons, protrusions(mesh, anatomy, voxel_mm=voxel_mm))
    anatomy = locate_distal_end(mesh, anatomy)
    if anatomy.distal is None:
        reasons["whole"] = Missing("condyles-not-found", "The distal end does not have the shape of two condyles.")
    return anatomy, Completeness(reasons, protrusions(mesh, anatomy, voxel_mm=voxel_mm))


def assess(
    mesh: BoneMesh, anatomy: Anatomy, *, border: Sequence[BorderContact] = (), voxel_mm: float = 0.0
) -> Completeness:
    """Return the ends of a femur that its surface does not contain.

    Args:
        mesh: Closed surface of one bone, on which :func:`no_femur` found nothing.
        anatomy: Its landmarks by :func:`~nnunet_femur.measurement.shape.locating.locate_head`, right or not.
        border: Places at which the mask is cut by the border of its volume.
        voxel_mm: Largest spacing of the mask; 0 for a surface that was not made of voxels.
    """
    up, head = anatomy.up, anatomy.head
    if up is None or head is None:
        return _without(PARTS, _NO_HEAD)
    reason = (
        _no_head(head)
        or _border_cut(mesh, up, border, "proximal")
        or _flat_end(mesh, up, PROXIMAL_FLAT_MM2, voxel_mm, "proximal")
        or _beside_shaft(anatomy)
    )
    if reason is not None:
        return _without(PARTS, reason)
    distal = (
        _border_cut(mesh, -up, border, "distal")
        or _flat_end(mesh, -up, DISTAL_FLAT_MM2, voxel_mm, "distal")
        or _no_knee(mesh, up, head.radius_mm)
    )
    return Completeness({} if distal is None else {"whole": distal})


_NO_HEAD = Missing("head-missing", "No end of the bone has the shape of a femoral head.")
_NO_NECK = Missing("neck-not-found", "The rounder end of the bone is not a femoral head with a neck.")


def _without(parts: Sequence[str], reason: Missing) -> Completeness:
    return Completeness(dict.fromkeys(parts, reason))


def no_femur(mesh: BoneMesh) -> Missing | None:
    """Return the reason why a surface is not that of one femur or of a long part of one."""
    if not len(mesh.triangles):
        return Missing("empty-mask", "No voxel of the mask is femur.")
    axis = principal_axis(mesh).direction
    along = mesh.points_mm @ axis
    length_mm = float(np.ptp(along))
    if length_mm > LONGEST_MM:
        return Missing("two-bones", f"The bone is {length_mm:.0f} mm long; more than one bone is in one piece.")
    stretch = elongation(mesh)
    if stretch < (LEAST_ELONGATION if not _has_stump(mesh, axis) else LEAST_OF_PART):
        text = f"The shape is not that of one femur: it is only {stretch:.1f} times as long as wide (by its spread)."
        return Missing("not-femur", text)
    if length_mm < SHORTEST_MM:
        return Missing("too-short", f"The bone is only {length_mm:.0f} mm long; angles need {SHORTEST_MM:.0f} mm.")
    levels = along.min() + length_mm * np.linspace(0.3, 0.7, 9)
    tubes = [sum(loop.area_mm2 > _SECOND_BONE_MM2 for loop in loops) for loops in plane_sections(mesh, axis, levels)]
    # A single section may cross a spur or a fragment.
    if sum(count > 1 for count in tubes) > 2:
        return Missing("two-bones", "The shaft has two separate sections: two bones are in one piece.")
    return None


def _has_stump(mesh: BoneMesh, axis: Point) -> bool:
    """Return True if one end of a bone is a single tube of the width of a shaft."""
    along = mesh.points_mm @ axis
    low, length_mm = float(along.min()), float(np.ptp(along))
    for start, end in (_STUMP, (1 - _STUMP[1], 1 - _STUMP[0])):
        planes = plane_sections(mesh, axis, low + length_mm * np.linspace(start, end, 6))
        areas = [[loop.area_mm2 for loop in loops if loop.area_mm2 > _SECOND_BONE_MM2] for loops in planes]
        if all(len(each) == 1 for each in areas):
            tube = np.concatenate(areas)
            if tube.max() < _LARGEST_STUMP_MM2 and tube.max() < _TUBE * tube.min():
                return True
    return False


def _no_head(head: Sphere) -> Missing | None:
    """Return the reason why a sphere is not that of a femoral head."""
    least, most = HEAD_RADII_MM
    problem = None
    if not least <= head.radius_mm <= most:
        problem = f"its radius is {head.radius_mm:.1f} mm"
    elif head.covered < LEAST_COVERED:
        problem = f"the surface covers only {head.covered:.0%} of its sphere"
    elif head.rms_mm > MOST_RMS_MM:
        problem = f"its residual is {head.rms_mm:.2f} mm"
    if problem is None:
        return None
    return Missing("head-missing", f"The rounder end of the bone is not a whole femoral head: {problem}.")


def _border_cut(mesh: BoneMesh, axis_out: Point, border: Sequence[BorderContact], name: str) -> Missing | None:
    """Return the reason if the border of the volume cuts one end of the bone."""
    along = mesh.points_mm @ axis_out
    low, high = float(along.min()), float(along.max())
    for contact in border:
        # The border may also cut a bone lengthwise; then both ends are incomplete.
        if contact.center_mm @ axis_out > low + (high - low) / 3:
            text = f"The {name} end is cut by the border of the volume ({contact.area_mm2:.0f} mm²)."
            return Missing(f"{name}-end-cut", text)
    return None


def _flat_end(mesh: BoneMesh, axis_out: Point, largest_mm2: float, voxel_mm: float, name: str) -> Missing | None:
    """Return the reason if one end of the bone is flat."""
    face = flat_face(mesh, axis_out)
    if not is_flat(face, largest_mm2, voxel_mm):
        return None
    return Missing(f"{name}-end-cut", f"The {name} end is cut: it has a flat face of {face.area_mm2:.0f} mm².")


def is_flat(face: FlatFace, largest_mm2: float, voxel_mm: float = 0.0) -> bool:
    """Return True if a flat face is larger than those of whole femurs.

    Args:
        face: The largest face at an end.
        largest_mm2: Largest weight at that end of a whole femur: PROXIMAL_FLAT_MM2 or DISTAL_FLAT_MM2.
        voxel_mm: Largest spacing of the mask.
    """
    thick = max(1.0, voxel_mm / THIN_MM)
    return face.weight_mm2 > largest_mm2 * thick or face.share > FLAT_SHARE


def _beside_shaft(anatomy: Anatomy) -> Missing | None:
    """Return the reason if the head is not beside the shaft, as that of a femur is."""
    if anatomy.shaft is None or anatomy.head is None:
        return _NO_HEAD
    radii = anatomy.shaft.distance_mm(anatomy.head.center_mm) / anatomy.head.radius_mm
    if radii >= _LEAST_OFFSET_RADII:
        return None
    return Missing("head-missing", "The rounder end of the bone is not a femoral head: it is in line with the shaft.")


def _no_knee(mesh: BoneMesh, up: Point, radius_mm: float) -> Missing | None:
    """Return the reason why the distal end is not that of a whole femur."""
    along = mesh.points_mm @ up
    radii = float(np.ptp(along)) / radius_mm
    if not SHORTEST_RADII <= radii <= LONGEST_RADII:
        return Missing("distal-end-missing", f"The bone is {radii:.1f} head radii long; a whole femur has 17 to 23.")
    flare = distal_flare(mesh, up)
    if flare < LEAST_FLARE:
        text = f"The largest distal section is only {flare:.1f} times the smallest of the shaft; femurs have 5 to 9."
        return Missing("distal-end-missing", text)
    return None


def distal_flare(mesh: BoneMesh, up: Point) -> float:
    """Return the largest section of the distal 15 % of a bone divided by the smallest one of its shaft.

    Args:
        mesh: Closed surface of the bone.
        up: Unit vector along the bone from distal to proximal. The shaft is from 25 to 70 % of the length, measured
            from the distal end.
    """
    along = mesh.centers_mm @ up
    low, high = float(along.min()), float(along.max())
    # The section at a level is the flux of the vector `up` through the surface above it.
    flux, _ = np.histogram(along, _LEVELS, (low, high), weights=(mesh.normals @ up) * mesh.areas_mm2)
    sections = np.cumsum(flux[::-1])[::-1]
    distal, shaft = sections[: round(0.15 * _LEVELS)], sections[round(0.25 * _LEVELS) : round(0.7 * _LEVELS)]
    return float(distal.max() / max(shaft.min(), 1.0))
