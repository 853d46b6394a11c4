"""Slices in one DICOM file: a classic file contains one, an enhanced multi-frame file one in each frame.

A classic file contains position, spacing and rescaling as its own attributes. An enhanced file contains them in
functional groups, per frame or shared by all frames, and its frames may be in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnunet_femur.imaging.dicom_content import items, number, numbers, refuse_attribute, sop_class_of, text, value
from nnunet_femur.imaging.geometry import VolumeError
from nnunet_femur.imaging.headers import MOST_PACKED, truncated
from nnunet_femur.kinds import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.dataset import Dataset

    from nnunet_femur.imaging.dicom_content import DicomFile

_MOST_FRAMES = 100_000


@dataclass(frozen=True)
class Slice:
    """One slice, without its voxels.

    Attributes:
        file: The file that contains it.
        frame: Number of its frame in the file, from 0.
        frames: Number of frames in the file.
        size_xy: Number of columns and of rows.
        spacing_mm_xy: Spacing along x and y in mm.
        position_mm: Position of the first voxel's centre in the patient (LPS) in mm.
        orientation: Direction cosines of a row, then of a column.
        slope: RescaleSlope; None if it is missing.
        intercept: RescaleIntercept; None if it is missing.
        rescale_type: "HU", "other", or "" if it is missing.
        stored_range: Least and largest value that can be stored in a voxel.
        uids: Identifiers, which must not be part of a message.
        modality_missing: True if the file does not contain its modality.
    """

    file: Path
    frame: int
    frames: int
    size_xy: tuple[int, int]
    spacing_mm_xy: tuple[float, float]
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    slope: float | None
    intercept: float | None
    rescale_type: str
    stored_range: tuple[int, int]
    uids: Uids
    modality_missing: bool = False

    @property
    def name(self) -> str:
        """Name for a message: that of the file, with the frame if there are several."""
        return self.file.name if self.frames == 1 else f"frame {self.frame + 1} of {self.file.name}"


@dataclass(frozen=True)
class Uids:
    """Identifiers of a slice. They are compared, and never printed."""

    instance: str
    series: str
    study: str
    frame_of_reference: str
    sop_class: str = ""


def slices_of(file: DicomFile, source: Path) -> list[Slice]:
    """Return the slices of a DICOM file in their stored order.

    Args:
        file: A file with one value per voxel.
        source: The path that errors name: the file, or the folder that the user gave.

    Raises:
        VolumeError: An attribute that defines the grid of the slices is missing or invalid.
    """
    header = file.header
    prefix = "" if source == file.path else f"contains {file.path.name}, which "
    count = number(header, "NumberOfFrames") if value(header, "NumberOfFrames") is not None else 1
    if count is None or count != int(count) or not 1 <= count <= _MOST_FRAMES:
        raise refuse_attribute(source, f"{prefix}has an invalid NumberOfFrames.", "NumberOfFrames")
    shared = [*items(header, "SharedFunctionalGroupsSequence"), None][0]
    per_frame = items(header, "PerFrameFunctionalGroupsSequence")
    enhanced = shared is not None or bool(per_frame)
    if len(per_frame) != count and (count > 1 or per_frame):
        problem = f"{prefix}has {int(count)} frame(s), but positions for {len(per_frame)}."
        raise refuse_attribute(source, problem, "position of each frame (PerFrameFunctionalGroupsSequence)")
    uids = Uids(
        instance=text(header, "SOPInstanceUID"),
        series=text(header, "SeriesInstanceUID"),
        study=text(header, "StudyInstanceUID"),
        frame_of_reference=text(header, "FrameOfReferenceUID"),
        sop_class=sop_class_of(header),
    )
    stored_range = _stored_range(header, source, prefix)
    size_xy = _size(header, source, prefix)
    _require_room(source, file, size_xy, int(count), prefix)
    found = []
    for index in range(int(count)):
        own = per_frame[index] if index < len(per_frame) else None
        places = _Attributes([own, shared] if enhanced else [], header)
        place = _place(places, source, prefix)
        slope, intercept = (_rescale(places, name, source, prefix) for name in ("RescaleSlope", "RescaleIntercept"))
        rescale_type = places.text("PixelValueTransformationSequence", "RescaleType").upper()
        found.append(
            Slice(
                file.path,
                index,
                int(count),
                size_xy,
                (place[0], place[1]),
                place[2:5],
                place[5:],
                slope,
                intercept,
                rescale_type if rescale_type in ("", "HU") else "other",
                stored_range,
                uids,
                file.modality_missing,
            )
        )
    return found


def _size(header: Dataset | None, source: Path, prefix: str) -> tuple[int, int]:
    found = []
    for name in ("Columns", "Rows"):
        count = number(header, name)
        if count is None or count != int(count) or not 1 <= count <= 65535:
            raise refuse_attribute(source, f"{prefix}has an invalid or no {name}.", name)
        found.append(int(count))
    return found[0], found[1]


def _require_room(source: Path, file: DicomFile, size_xy: tuple[int, int], frames: int, prefix: str) -> None:
    """Refuse a header that announces more voxels than its file can contain, before memory is allocated for them."""
    needed = size_xy[0] * size_xy[1] * frames * int(number(file.header, "BitsAllocated") or 8) // 8
    if needed > file.stored_bytes * (MOST_PACKED if file.packed else 1):
        raise VolumeError(source, prefix + truncated(needed, file.stored_bytes), KINDS["unreadable"].remedy)


@dataclass(frozen=True)
class _Attributes:
    """Attributes of a frame: in its own functional groups, in those shared by all frames, or in the file itself."""

    groups: list[Any]
    header: Dataset | None

    def _holders(self, sequence: str) -> list[Any]:
        return [item for group in self.groups if group is not None for item in items(group, sequence)] + [self.header]

    def numbers(self, sequence: str, name: str, count: int) -> tuple[float, ...] | None:
        """Return the first value of the attribute that consists of valid numbers."""
        return next(
            (found for each in self._holders(sequence) if (found := numbers(each, name, count)) is not None), None
        )

    def text(self, sequence: str, name: str) -> str:
        """Return the first value of the attribute that is not empty."""
        return next((found for each in self._holders(sequence) if (found := text(each, name))), "")

    def states(self, sequence: str, name: str) -> bool:
        """Return True if the attribute has a value, even an invalid one."""
        return any(value(each, name) is not None for each in self._holders(sequence))


def _place(attributes: _Attributes, source: Path, prefix: str) -> tuple[float, ...]:
    """Return spacing x, y, position x, y, z, and the six cosines."""
    found: list[tuple[float, ...]] = []
    for sequence, name, count in (
        ("PixelMeasuresSequence", "PixelSpacing", 2),
        ("PlanePositionSequence", "ImagePositionPatient", 3),
        ("PlaneOrientationSequence", "ImageOrientationPatient", 6),
    ):
        values = attributes.numbers(sequence, name, count)
        if values is None:
            fault = "has an invalid" if attributes.states(sequence, name) else "does not contain"
            raise refuse_attribute(source, f"{prefix}{fault} {name}.", name)
        found.append(values)
    (row_mm, column_mm), position_mm, cosines = found
    if not (1e-3 <= row_mm <= 1e3 and 1e-3 <= column_mm <= 1e3):
        raise refuse_attribute(source, f"{prefix}has an invalid PixelSpacing.", "PixelSpacing")
    if max(map(abs, position_mm)) > 1e6:
        raise refuse_attribute(source, f"{prefix}has an invalid ImagePositionPatient.", "ImagePositionPatient")
    across = sum(row * column for row, column in zip(cosines[:3], cosines[3:], strict=True))
    lengths = [sum(each * each for each in axis) for axis in (cosines[:3], cosines[3:])]
    if abs(across) > 1e-2 or any(abs(length - 1) > 1e-2 for length in lengths):
        raise refuse_attribute(source, f"{prefix}has an invalid ImageOrientationPatient.", "ImageOrientationPatient")
    # The first number of PixelSpacing is the distance between rows, which is along y.
    return (column_mm, row_mm, *position_mm, *cosines)


def _rescale(attributes: _Attributes, name: str, source: Path, prefix: str) -> float | None:
    sequence = "PixelValueTransformationSequence"
    found = attributes.numbers(sequence, name, 1)
    if found is None:
        if attributes.states(sequence, name):
            raise refuse_attribute(source, f"{prefix}has an invalid {name}.", name)
        return None
    if abs(found[0]) > 1e6 or (name == "RescaleSlope" and found[0] == 0):
        raise refuse_attribute(source, f"{prefix}has an invalid {name}.", name)
    return found[0]


def _stored_range(header: Dataset | None, source: Path, prefix: str) -> tuple[int, int]:
    """Return the least and the largest value that a voxel can have before it is rescaled."""
    allocated, signed = number(header, "BitsAllocated"), number(header, "PixelRepresentation")
    stored = number(header, "BitsStored")
    if allocated not in (1, 8, 16, 32):
        raise refuse_attribute(source, f"{prefix}has an invalid or no BitsAllocated.", "BitsAllocated")
    if stored is None or stored != int(stored) or not 1 <= stored <= allocated:
        raise refuse_attribute(source, f"{prefix}has an invalid or no BitsStored.", "BitsStored")
    if signed not in (0, 1):
        raise refuse_attribute(source, f"{prefix}has an invalid or no PixelRepresentation.", "PixelRepresentation")
    bits = int(stored)
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
