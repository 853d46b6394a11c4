"""Options about the files of a conversion. All of them are written to the dataset's record."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

from nnunet_femur.arguments import several
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.grids import TRUSTS

IMAGES_FOLDER, MASKS_FOLDER = "Images", "GoldStandard"
"""Names of the two folders in the study; upper and lower case are equal."""

ID_PATTERN = r"(?P<side>[A-Z])(?P<patient>\d+)"
"""Ids of the study, as in ``L442_CT.nrrd``; upper and lower case are equal.

The groups are optional: without ``patient`` every id is a patient, without ``side`` the side is unknown.
"""

AIR_HU = -1000
"""Default value that replaces padding, in HU."""

MIN_VOLUME_ML = 50.0
"""Smallest volume of each femur of a subject of TotalSegmentator's dataset, in millilitres.

A femoral head with its neck has about this volume. Femurs that are cut shorter show neither the trochanters nor the
shaft. Whole femurs of adults have 340 to 760 ml.
"""


class ConversionSettings(TypedDict, total=False):
    """The attributes of :class:`ConversionOptions` as keyword arguments, all of them optional."""

    layout: str
    images_folder: str
    masks_folder: str
    id_pattern: str
    segments: tuple[str, ...]
    labels: tuple[int, ...]
    padding_hu: int | None
    min_volume_ml: float
    trust: str
    skip_bad: bool


@dataclass(frozen=True, kw_only=True)
class ConversionOptions:
    r"""Options for finding and reading the files of a source folder.

    Attributes:
        layout: Arrangement of the files: "pairs", "totalsegmentator", "csv", or "auto" to detect it.
        images_folder: Name of the folder with the CTs (layout "pairs").
        masks_folder: Name of the folder with the masks (layout "pairs").
        id_pattern: Regular expression of a case id, matched at the start of a file name (layout "pairs"). The groups
            ``patient`` and ``side`` (L or R) are optional.
        segments: Names of the segments of a 3D Slicer segmentation that are femur; they are joined. Empty: the only
            segment, or those called femur, with a side or a part of the bone.
        labels: Values of a mask that are femur. Empty: the only value above 0.
        padding_hu: Value that replaces the padding of a CT, -2048 to 0 HU; None keeps the padding.
        min_volume_ml: Smallest volume in millilitres of each femur of a subject (layout "totalsegmentator").
        trust: Treatment of a mask that has as many voxels as its CT, but another grid: "voxels" places it on the CT
            voxel by voxel, "headers" places it by its header, "" is an error.
        skip_bad: Leave out cases with errors and convert the others. The layout "totalsegmentator" always does.

    Raises:
        InputError: A value is not allowed (code "invalid-option").

    Example:
        >>> ConversionOptions(layout="pairs", labels=(1, 2)).labels
        (1, 2)
        >>> ConversionOptions(padding_hu=500)
        Traceback (most recent call last):
        ...
        nnunet_femur.errors.InputError: padding_hu must be from -2048 to 0 (air is -1000), got 500.
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
        """Refuse values that are not allowed, before any file is read."""
        object.__setattr__(self, "segments", several(self.segments))
        object.__setattr__(self, "labels", several(self.labels))
        problem = self._problem()
        if problem:
            raise InputError(problem, code="invalid-option")

    def _problem(self) -> str | None:
        """Return the first value that is not allowed, as text; None if all are allowed."""
        try:
            re.compile(self.id_pattern)
        except re.error as error:
            return f"id_pattern must be a regular expression such as {ID_PATTERN}, got {self.id_pattern} ({error})."
        if 0 in self.labels:
            return "labels must not contain 0, which is background. Give the values that are femur."
        if self.padding_hu is not None and not -2048 <= self.padding_hu <= 0:
            return f"padding_hu must be from -2048 to 0 (air is {AIR_HU}), got {self.padding_hu}."
        if self.trust not in TRUSTS:
            return f"trust must be one of {', '.join(filter(None, TRUSTS))}, got {self.trust!r}."
        if not (math.isfinite(self.min_volume_ml) and self.min_volume_ml >= 0):
            return f"min_volume_ml must be 0 or more, got {self.min_volume_ml}."
        return None

    def as_json(self) -> dict[str, Any]:
        """Return the options as written to ``conversion.json``, with lists instead of tuples."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
