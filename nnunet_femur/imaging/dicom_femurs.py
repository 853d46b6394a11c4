"""Femurs as DICOM describes them: a name, SNOMED codes, a colour, and the algorithm, in a SEG and in an RTSTRUCT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.imaging.sides import LEFT, RIGHT, UNKNOWN
from nnunet_femur.imaging.writing import BONE_COLOUR, FEMUR_SEGMENTS, RIGHT_COLOUR

if TYPE_CHECKING:
    import numpy as np
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.sr import CodedConcept
    from numpy.typing import NDArray

    from nnunet_femur.imaging.dicom_references import Algorithm

_LABELS = {LEFT: "Left femur", RIGHT: "Right femur", UNKNOWN: "Femur"}
_VALUES = {LEFT: FEMUR_SEGMENTS["femur_left"], RIGHT: FEMUR_SEGMENTS["femur_right"], UNKNOWN: FEMUR_SEGMENTS["femur"]}
_LONGEST = 64
"""Characters of an algorithm's name (LO) and of a description."""


@dataclass(frozen=True)
class DicomFemur:
    """One femur.

    Attributes:
        number: Number of its segment or ROI, from 1.
        side: "left", "right" or "unknown".
        label: Its name.
        colour: Red, green and blue from 0 to 1.
        voxels_zyx: True in the femur, z, y, x.
    """

    number: int
    side: str
    label: str
    colour: tuple[float, float, float]
    voxels_zyx: NDArray[np.bool_]


def dicom_femurs(labels_zyx: NDArray) -> tuple[DicomFemur, ...]:
    """Return the femurs of a mask with sides; one femur of unknown side for an empty mask.

    Args:
        labels_zyx: The mask, z, y, x: 1 in the left femur, 2 in the right one, 3 in a femur of unknown side.

    Example:
        >>> import numpy as np
        >>> [(each.number, each.label) for each in dicom_femurs(np.array([[[0, 2, 2, 3]]]))]
        [(1, 'Right femur'), (2, 'Femur')]
    """
    masks = {side: labels_zyx == value for side, value in _VALUES.items()}
    filled = {side: mask for side, mask in masks.items() if mask.any()} or {UNKNOWN: masks[UNKNOWN]}
    return tuple(
        DicomFemur(number, side, _LABELS[side], RIGHT_COLOUR if side == RIGHT else BONE_COLOUR, mask)
        for number, (side, mask) in enumerate(filled.items(), start=1)
    )


def bone_codes(side: str) -> tuple[CodedConcept, CodedConcept, CodedConcept | None]:
    """Return the codes of the category, of the bone, and of its side; no code for an unknown side."""
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    sides = {LEFT: codes.SCT.Left, RIGHT: codes.SCT.Right}
    category, bone = (CodedConcept.from_code(each) for each in (codes.SCT.AnatomicalStructure, codes.SCT.Femur))
    return category, bone, CodedConcept.from_code(sides[side]) if side in sides else None


def algorithm_sequence(algorithm: Algorithm) -> AlgorithmIdentificationSequence:
    """Return the identification of an algorithm."""
    from highdicom import AlgorithmIdentificationSequence
    from pydicom.sr.codedict import codes

    return AlgorithmIdentificationSequence(
        name=algorithm.name[:_LONGEST],
        family=codes.cid7162.ArtificialIntelligence,
        version=algorithm.version[:_LONGEST],
        parameters=dict(algorithm.parameters) or None,
    )
