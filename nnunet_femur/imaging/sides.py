"""Sides of the body: the words for them in names and tables, and the side at each face of a volume."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nnunet_femur.imaging.geometry import Geometry

LEFT, RIGHT, BOTH, UNKNOWN = "left", "right", "both", "unknown"
"""Sides of a case: one femur, both femurs of a patient, or not stated."""

SIDES = {
    **dict.fromkeys(("l", LEFT), LEFT),
    **dict.fromkeys(("r", RIGHT), RIGHT),
    **dict.fromkeys(("b", BOTH), BOTH),
}
"""Side that a file name or a table means by a word in lower case."""

SIDE_OF_WORD = {
    **dict.fromkeys(("l", "lt", LEFT, "sin", "sinister"), LEFT),
    **dict.fromkeys(("r", "rt", RIGHT, "dex", "dexter"), RIGHT),
}
"""Side that a word in the name of a segment means, in lower case."""

SIDE_WORDS = frozenset({*SIDE_OF_WORD, BOTH, "bilateral"})
"""Words for a side, in lower case, that the name of a segment may contain."""

_FACES = ((RIGHT, LEFT), ("anterior", "posterior"), ("inferior", "superior"))
"""Directions of the patient in which x, y and z (LPS) decrease and increase."""


def side_called(word: str) -> str:
    """Return the side that a word of a file name or table means, or :data:`UNKNOWN`.

    Example:
        >>> side_called("L"), side_called("Right"), side_called("up")
        ('left', 'right', 'unknown')
    """
    return SIDES.get(word.strip().lower(), UNKNOWN)


_ID_SIDE = re.compile(r"([LRB])\d+(?![^\W_])", re.IGNORECASE)
"""An id that begins with a side, as in L442; ``[LRB]\\d+`` within a word is not one."""


_NAMED = {"l", "r", LEFT, RIGHT, BOTH}
"""Words of a name that state its side; a single "b" is usually a second exam."""


def side_in_name(name: str) -> str:
    """Return the side that the name of a case states, or :data:`UNKNOWN`.

    It is the first letter of an id such as ``L442``, or a word of the name: ``left``, ``right``, ``both``, ``L`` or
    ``R``. A name with two different sides states none.

    Args:
        name: The name, without the ending of a file.

    Example:
        >>> side_in_name("R101"), side_in_name("P7_femur_left"), side_in_name("leftover"), side_in_name("L1_right")
        ('right', 'left', 'unknown', 'unknown')
    """
    words = {word.lower() for word in re.split(r"[\W_]+", name)} & _NAMED
    found = {side_called(word) for word in words}
    match = _ID_SIDE.match(name)
    found |= {side_called(match[1])} if match else set()
    return found.pop() if len(found) == 1 else UNKNOWN


def faces_of(geometry: Geometry, axis_xyz: int) -> tuple[str, str]:
    """Return the sides of the patient at the first and at the last voxel of an axis.

    Args:
        geometry: The volume.
        axis_xyz: Index of the axis in the order x, y, z. An oblique axis counts as the nearest axis of the patient.

    Example:
        >>> from nnunet_femur.imaging.geometry import Geometry
        >>> faces_of(Geometry((4, 4, 4), (1, 1, 1), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, -1)), 2)
        ('superior', 'inferior')
    """
    column = np.reshape(geometry.direction, (3, 3))[:, axis_xyz]
    nearest = int(np.argmax(np.abs(column)))
    first, last = _FACES[nearest]
    return (first, last) if column[nearest] > 0 else (last, first)
