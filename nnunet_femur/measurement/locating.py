"""Locate the landmarks of one femur on its surface, from the shaft to the knee."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.anatomy import Anatomy, Line, across, unit
from nnunet_femur.measurement.condyles import find_distal_end, posterior_direction
from nnunet_femur.measurement.head import find_head, refine_head
from nnunet_femur.measurement.neck import find_neck
from nnunet_femur.measurement.shaft import axis_between, principal_axis, shaft_axis
from nnunet_femur.measurement.trochanter import lesser_trochanter

if TYPE_CHECKING:
    from nnunet_femur.measurement.mesh import BoneMesh

PROXIMAL_SHAFT_RADII = (3.2, 6.4)
"""Distances below the head's centre between which the proximal shaft axis is fitted, in head radii."""

_LEAST_CERTAINTY = 0.7
"""Smallest triple product of up, medial and posterior that determines the side; that of whole femurs is above 0.78."""


def locate(mesh: BoneMesh, *, has_distal_end: bool = True) -> Anatomy:
    """Return the landmarks of one femur; those that its surface does not have are None.

    Args:
        mesh: The surface.
        has_distal_end: False if the bone is known to be cut at its distal end, which is not searched then.
    """
    anatomy = Anatomy(mesh.surface)
    axis = shaft_axis(mesh, principal_axis(mesh))
    if axis is None:
        return anatomy
    found = find_head(mesh, axis)
    if found is None:
        return replace(anatomy, shaft=axis)
    first, sign = found
    axis = Line(axis.point_mm, sign * axis.direction, axis.rms_mm)
    refined = refine_head(mesh, first)
    if refined is None:
        return replace(anatomy, shaft=axis)
    head, neck_point = refined
    near, far = (radii * head.radius_mm for radii in PROXIMAL_SHAFT_RADII)
    proximal = axis_between(mesh, axis, head.center_mm, near, far)
    anatomy = replace(
        anatomy,
        up=axis.direction,
        shaft=axis,
        proximal_shaft=proximal,
        head=head,
        neck=find_neck(mesh, head, neck_point),
        medial=unit(across(head.center_mm - axis.point_mm, axis.direction)),
    )
    return _with_distal_end(mesh, anatomy) if has_distal_end else anatomy


def _with_distal_end(mesh: BoneMesh, anatomy: Anatomy) -> Anatomy:
    shaft, medial = anatomy.shaft, anatomy.medial
    posterior = posterior_direction(mesh, shaft)
    triple = float(np.cross(medial, unit(posterior)) @ shaft.direction)
    if abs(triple) < _LEAST_CERTAINTY:
        return anatomy
    distal = find_distal_end(mesh, shaft, anatomy.head, medial=medial, posterior=posterior)
    if distal is None:
        return anatomy
    line = unit(across(distal.posterior_medial_mm - distal.posterior_lateral_mm, shaft.direction))
    backwards = np.cross(shaft.direction, line)
    backwards = backwards * np.sign(backwards @ posterior)
    trochanter = None
    if anatomy.proximal_shaft is not None:
        trochanter = lesser_trochanter(mesh, anatomy.head, anatomy.proximal_shaft, medial=line, posterior=backwards)
    return replace(
        anatomy,
        side="right" if triple > 0 else "left",
        distal=distal,
        medial=line,
        posterior=backwards,
        lesser_trochanter_mm=trochanter,
    )
