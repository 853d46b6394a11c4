"""Anatomical directions of view of a femur: front, side and above, independent of the axes of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nnunet_femur.imaging.sides import LEFT, RIGHT
from nnunet_femur.measurement.landmarks import across, unit
from nnunet_femur.measurement.output.surface_shading import View

if TYPE_CHECKING:
    from nnunet_femur.measurement.landmarks import Anatomy, Point


class NamedView(NamedTuple):
    """A view with words for its edges.

    Attributes:
        name: Name of the view.
        view: The direction.
        left: Direction of the body at the left edge.
        right: Direction of the body at the right edge.
    """

    name: str
    view: View
    left: str
    right: str


def anatomical_views(anatomy: Anatomy) -> tuple[NamedView, NamedView, NamedView]:
    """Return the views from the front, from the side, and from above.

    Up is the mechanical axis, or else the shaft axis. The front is perpendicular to the posterior condylar line;
    without condyles, the side determines it. The view from the side is from lateral, as the femur is seen beside the
    patient. From above, the front is at the upper edge.

    Args:
        anatomy: Landmarks; every one of them may be missing, then the axes of the patient replace it.

    Example:
        >>> from nnunet_femur.measurement.landmarks import Anatomy
        >>> x, y, z = np.eye(3)
        >>> [view.name for view in anatomical_views(Anatomy(None, "right", up=z, medial=x, posterior=y))]
        ['front', 'lateral side', 'above']
    """
    up = _up(anatomy)
    left = _to_left(anatomy, up)
    posterior = np.cross(up, left)
    medial = None if anatomy.medial is None else unit(across(anatomy.medial, up))
    front = View(up, -posterior)
    above = View(-posterior, up)
    if medial is None:
        side = View(up, left)
        return (
            NamedView("front", front, "right", "left"),
            NamedView("left side", side, "anterior", "posterior"),
            NamedView("above", above, "left", "right"),
        )
    side = View(up, -left if medial @ left > 0 else left)
    edges = ("lateral", "medial")
    depth = ("anterior", "posterior")
    return (
        NamedView("front", front, *(edges if medial @ front.right > 0 else edges[::-1])),
        NamedView("lateral side", side, *(depth if posterior @ side.right > 0 else depth[::-1])),
        NamedView("above", above, *(edges if medial @ above.right > 0 else edges[::-1])),
    )


def _up(anatomy: Anatomy) -> Point:
    if anatomy.mechanical is not None:
        return anatomy.mechanical.direction
    axis = anatomy.shaft or anatomy.proximal_shaft
    if axis is not None:
        return axis.direction
    return anatomy.up if anatomy.up is not None else np.array([0.0, 0.0, 1.0])


def _to_left(anatomy: Anatomy, up: Point) -> Point:
    """Return the direction to the patient's left, perpendicular to `up`; by shape, else by side, else by the header."""
    sideways = anatomy.medial
    if anatomy.distal is not None:
        sideways = anatomy.distal.posterior_medial_mm - anatomy.distal.posterior_lateral_mm
    if sideways is None or np.linalg.norm(across(sideways, up)) < 1e-6:
        # The patient's left, or for a bone that is across the patient, the patient's back.
        x, y = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
        return unit(across(x if abs(x @ up) < 0.9 else y, up))
    medial = unit(across(sideways, up))
    if anatomy.posterior is not None:
        # The header may be mirrored: only the shape determines the front.
        return medial if np.cross(up, medial) @ anatomy.posterior > 0 else -medial
    if anatomy.side in (LEFT, RIGHT):
        return medial if anatomy.side == RIGHT else -medial
    return medial if medial[0] > 0 else -medial
