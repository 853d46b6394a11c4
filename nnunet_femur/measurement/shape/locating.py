"""Locate the landmarks of one femur on its surface, from the shaft to the knee.

The order is :func:`locate_head`, :func:`locate_neck`, :func:`locate_distal_end`. Landmarks that the surface does not
have are None.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.sides import LEFT, RIGHT, UNKNOWN
from nnunet_femur.measurement.landmarks import Anatomy, Line, across, unit
from nnunet_femur.measurement.shape.condyles import find_distal_end, posterior_direction
from nnunet_femur.measurement.shape.head import find_head, neck_point, refine_head
from nnunet_femur.measurement.shape.neck import find_neck
from nnunet_femur.measurement.shape.shaft import PROXIMAL_SHAFT_RADII, axis_between, principal_axis, shaft_axis
from nnunet_femur.measurement.shape.trochanter import lesser_trochanter

if TYPE_CHECKING:
    from nnunet_femur.measurement.shape.mesh import BoneMesh

_LEAST_CERTAINTY = 0.7
"""Smallest triple product of up, medial and posterior that determines the side; that of whole femurs is above 0.78."""


def locate_head(mesh: BoneMesh, *, effort: float = 1.0) -> Anatomy:
    """Return the shaft axis, the head, and the directions to proximal and medial; the head is None if no end has one.

    Args:
        mesh: The surface.
        effort: Number of tried spheres, relative to those of a measurement.
    """
    anatomy = Anatomy(mesh.surface)
    axis = shaft_axis(mesh, principal_axis(mesh))
    if axis is None:
        return anatomy
    found = find_head(mesh, axis, effort=effort)
    refined = None if found is None else refine_head(mesh, found[0])
    if found is None or refined is None:
        return replace(anatomy, shaft=axis)
    axis = Line(axis.point_mm, found[1] * axis.direction, axis.rms_mm)
    head = replace(refined, radius_mm=mesh.unsmoothed_radius_mm(refined.radius_mm))
    medial = unit(across(head.center_mm - axis.point_mm, axis.direction))
    return replace(anatomy, up=axis.direction, shaft=axis, head=head, medial=medial)


def locate_neck(mesh: BoneMesh, anatomy: Anatomy) -> Anatomy:
    """Return the landmarks of :func:`locate_head` with the proximal shaft axis and the neck."""
    head, shaft = anatomy.head, anatomy.shaft
    if head is None or shaft is None:
        return anatomy
    near, far = (radii * head.radius_mm for radii in PROXIMAL_SHAFT_RADII)
    proximal = axis_between(mesh, shaft, head.center_mm, near, far)
    middle = neck_point(mesh.near(head.center_mm, 2.0 * head.radius_mm), head)
    neck = None if middle is None else find_neck(mesh, head, middle)
    return replace(anatomy, proximal_shaft=proximal, neck=neck)


def locate_side(mesh: BoneMesh, anatomy: Anatomy) -> Anatomy:
    """Return the landmarks of :func:`locate_head` with a first direction to posterior, and the side.

    The direction is that of the distal end from the shaft axis, so the bone must have its distal end.
    """
    shaft, medial = anatomy.shaft, anatomy.medial
    if shaft is None or medial is None:
        return anatomy
    posterior = unit(posterior_direction(mesh, shaft))
    triple = float(np.cross(medial, posterior) @ shaft.direction)
    if abs(triple) < _LEAST_CERTAINTY:
        return anatomy
    return replace(anatomy, posterior=posterior, side=RIGHT if triple > 0 else LEFT)


def locate_distal_end(mesh: BoneMesh, anatomy: Anatomy) -> Anatomy:
    """Return the landmarks of :func:`locate_neck` with the condyles, the lesser trochanter and the side."""
    anatomy = locate_side(mesh, anatomy)
    head, shaft, medial, posterior = anatomy.head, anatomy.shaft, anatomy.medial, anatomy.posterior
    if head is None or shaft is None or medial is None or posterior is None:
        return anatomy
    distal = find_distal_end(mesh, shaft, head, medial=medial, posterior=posterior)
    if distal is None:
        return replace(anatomy, posterior=None, side=UNKNOWN)
    medial, posterior, trochanter = distal.to_medial, distal.posterior, None
    if anatomy.proximal_shaft is not None:
        trochanter = lesser_trochanter(mesh, head, anatomy.proximal_shaft, medial=medial, posterior=posterior)
    return replace(anatomy, distal=distal, medial=medial, posterior=posterior, lesser_trochanter_mm=trochanter)
