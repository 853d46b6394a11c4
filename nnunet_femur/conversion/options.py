"""What a user may say about the files of a conversion; everything here stands in the dataset's record."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any

from nnunet_femur.errors import InputError
from nnunet_femur.imaging.grids import TRUSTS

LAYOUTS = ("auto", "pairs", "totalsegmentator", "csv")
"""How files may lie in a source; "auto" looks and says what it found."""

IMAGES_FOLDER, MASKS_FOLDER = "Images", "GoldStandard"
"""The study's names of the two folders; upper and lower case count as equal."""

ID_PATTERN = r"(?P<side>[A-Z])(?P<patient>\d+)"
"""The study's ids, as in ``L442_CT.nrrd``; upper and lower case count as equal.

The groups are optional: without ``patient`` every id is its own patient, without ``side`` the side is unknown.
"""

AIR_HU = -1000
"""What padding becomes unless another value is asked for."""

MIN_VOLUME_ML = 50.0
"""Least volume of each femur of a subject of TotalSegmentator's dataset.

A femoral head with its neck is about this large. What is cut shorter shows neither the trochanters nor the shaft, and
an adult's whole femur has 340 to 760 ml.
"""


@dataclass(frozen=True, kw_only=True)
class IntakeOptions:
    r"""How the files of a source are found and read.

    Attributes:
        layout: One of :data:`LAYOUTS`.
        images_folder: Name of the folder with the CTs (layout "pairs").
        masks_folder: Name of the folder with the masks (layout "pairs").
        id_pattern: Regular expression of a case's id, matched at the start of a file's name (layout "pairs"); its
            groups ``patient`` and ``side`` (L or R) are optional.
        segments: Names of the segments of a 3D Slicer segmentation that are femur; they are joined. None: the only
            one, or those that are called femur, with its side or a part of the bone.
        labels: Values of a mask that are femur. None: the only value above 0.
        padding_hu: What the padding of a CT becomes, in HU; None leaves it.
        min_volume_ml: Least volume in millilitres of each femur of a subject (layout "totalsegmentator").
        trust: What counts of a mask that has its CT's number of voxels on another grid: "voxels" lays it on the CT
            voxel by voxel, "headers" places it by its header, "" makes it an error.
        skip_bad: Leave out cases with errors and convert the others. The layout "totalsegmentator" always does.

    Raises:
        InputError: A value cannot be meant.
    """

    layout: str = "auto"
    images_folder: str = IMAGES_FOLDER
    masks_folder: str = MASKS_FOLDER
    id_pattern: str = ID_PATTERN
    segments: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()
    padding_hu: int | None = AIR_HU
    min_volume_ml: float = MIN_VOLUME_ML
    trust: str = ""
    skip_bad: bool = False

    def __post_init__(self) -> None:
        """Refuse values that cannot be meant, before any file is looked at."""
        if self.layout not in LAYOUTS:
            msg = f"{self.layout!r}: is no layout. Choose one of {', '.join(LAYOUTS)}."
            raise InputError(msg)
        try:
            re.compile(self.id_pattern)
        except re.error as error:
            msg = f"{self.id_pattern}: is no regular expression ({error}). The study's ids are {ID_PATTERN}"
            raise InputError(msg) from error
        if 0 in self.labels:
            msg = "--labels 0: 0 is background. Give the values that are femur."
            raise InputError(msg)
        if self.padding_hu is not None and not -2048 <= self.padding_hu <= 0:
            msg = f"--padding-hu {self.padding_hu}: is no value of air. Give one from -2048 to 0; air is {AIR_HU}."
            raise InputError(msg)
        if self.trust not in TRUSTS:
            msg = f"--trust {self.trust}: must be one of {', '.join(filter(None, TRUSTS))}."
            raise InputError(msg)
        if not (math.isfinite(self.min_volume_ml) and self.min_volume_ml >= 0):
            msg = f"--min-volume-ml {self.min_volume_ml}: is no volume. Give a number of millilitres, 0 or more."
            raise InputError(msg)

    def as_json(self) -> dict[str, Any]:
        """The options as they stand in ``conversion.json``: lists instead of tuples, so that they compare equal."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
