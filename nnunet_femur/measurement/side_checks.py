"""Compare the shape of femurs with header, label, id, and each other.

A mirrored femur has exactly the shape of the other side. So a mirrored volume of one femur is found only if an id, a
label or a network states the side, or if the volume also contains the other femur.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.sides import LEFT, RIGHT, UNKNOWN
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from nnunet_femur.findings import Finding
    from nnunet_femur.measurement.femur_measurements import FemurMeasurements
    from nnunet_femur.measurement.landmarks import Anatomy, Point

SHAPE = "shape"
"""Value of :attr:`FemurMeasurements.side_source` of a side that the shape determined."""

_OPPOSED = -0.5
"""Cosine below which a direction is opposite to the header's: more than 120 degrees, which no leg is bent or turned."""

_APART_MM = 20.0
"""Least distance of two femurs along the patient's left-right axis that determines which is the left one."""

_SUPERIOR, _POSTERIOR, _TO_LEFT = 2, 1, 0
"""Axes of LPS whose coordinate increases towards the named direction."""


def side_by_shape(anatomy: Anatomy | None) -> str:
    """Return the side that the shape of a femur determines: "left", "right" or "unknown".

    A femur is a right one if the cross product of its medial and posterior directions points upwards. This does not
    depend on the header's orientation, except that a mirrored header gives the other side.

    Args:
        anatomy: Landmarks of the femur. Without a head or condyles the side is unknown.

    Example:
        >>> from nnunet_femur.measurement.landmarks import Anatomy
        >>> x, y, z = np.eye(3)
        >>> side_by_shape(Anatomy(None, up=z, medial=x, posterior=y)), side_by_shape(Anatomy(None, up=z, medial=x))
        ('right', 'unknown')
    """
    if anatomy is None or anatomy.up is None or anatomy.medial is None or anatomy.posterior is None:
        return UNKNOWN
    return RIGHT if np.cross(anatomy.medial, anatomy.posterior) @ anatomy.up > 0 else LEFT


def check_sides(
    femurs: Sequence[FemurMeasurements], file: Path | str, *, expected: str = UNKNOWN, expected_by: str = "id"
) -> list[Finding]:
    """Return the findings about sides and orientation of the femurs in one volume.

    Args:
        femurs: Measurements of each femur of the volume. If the origin of a femur's side is not its shape (a label, a
            network), that side is compared with its shape.
        file: The volume, as the findings name it.
        expected: Side of the volume by its id or table: "left", "right"; others are not compared.
        expected_by: Origin of `expected`, as the finding names it: "id", "table".

    Returns:
        Findings with the codes "side-contradiction", "upside-down", "back-to-front", "same-side", "sides-exchanged".
    """
    found = [
        *_contradictions(femurs, expected, expected_by),
        *_directions(femurs),
        *_pairs(femurs),
    ]
    return [finding(code, file, problem) for code, problem in dict.fromkeys(found)]


def _contradictions(femurs: Sequence[FemurMeasurements], expected: str, expected_by: str) -> Iterator[tuple[str, str]]:
    by_shape = [side_by_shape(femur.anatomy) for femur in femurs]
    for femur, shape in zip(femurs, by_shape, strict=True):
        stated = femur.side if femur.side_source not in ("", SHAPE) else UNKNOWN
        if shape != UNKNOWN and stated in (LEFT, RIGHT) and stated != shape:
            yield (
                "side-contradiction",
                f"has a femur with the shape of a {shape} one; its {femur.side_source}: {stated}.",
            )
    # In a volume of both legs, an id names one of them.
    sides = [femur.side if shape == UNKNOWN else shape for femur, shape in zip(femurs, by_shape, strict=True)]
    sources = {femur.side_source if shape == UNKNOWN else SHAPE for femur, shape in zip(femurs, by_shape, strict=True)}
    if expected in (LEFT, RIGHT) and sides and not {expected, UNKNOWN} & set(sides):
        found = " and ".join(sorted(sources))
        yield "side-contradiction", f"is {sides[0]} by its {found}, but {expected} by its {expected_by}."


def _directions(femurs: Sequence[FemurMeasurements]) -> Iterator[tuple[str, str]]:
    for anatomy in (femur.anatomy for femur in femurs if femur.anatomy is not None):
        if anatomy.up is not None and anatomy.head is not None and anatomy.up[_SUPERIOR] < _OPPOSED:
            yield "upside-down", "is upside down: the femoral head points to the feet."
        if anatomy.posterior is not None and anatomy.posterior[_POSTERIOR] < _OPPOSED:
            yield "back-to-front", "is turned back to front: the condyles point to the front."


def _pairs(femurs: Sequence[FemurMeasurements]) -> Iterator[tuple[str, str]]:
    placed = [
        (side_by_shape(femur.anatomy), _place_mm(femur.anatomy))
        for femur in femurs
        if femur.anatomy is not None and side_by_shape(femur.anatomy) != UNKNOWN
    ]
    for (one, one_mm), (other, other_mm) in combinations(placed, 2):
        if one == other:
            yield "same-side", f"has two femurs with the shape of a {one} one."
            continue
        left_mm, right_mm = (one_mm, other_mm) if one == LEFT else (other_mm, one_mm)
        if left_mm[_TO_LEFT] < right_mm[_TO_LEFT] - _APART_MM:
            apart = right_mm[_TO_LEFT] - left_mm[_TO_LEFT]
            yield "sides-exchanged", f"has its left femur {apart:.0f} mm to the patient's right of its right femur."


def _place_mm(anatomy: Anatomy) -> Point:
    """Return the position of a femur in LPS mm: the centre of its head, or else the mean of its surface."""
    return anatomy.head.center_mm if anatomy.head is not None else np.asarray(anatomy.surface.points_mm.mean(axis=0))
