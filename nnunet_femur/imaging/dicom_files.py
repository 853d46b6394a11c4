"""Find DICOM files by their content, and tell what each one contains.

Only the attributes of :data:`TAGS` are read from a header. No message quotes one: patients' names are found in every
attribute of text, also in those that are not made for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

from nnunet_femur.imaging.dicom_attributes import items, number, numbers, text, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pydicom.dataset import Dataset

TAGS = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"),
    *("Modality", "ImageType", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel"),
    *("BitsAllocated", "BitsStored", "PixelRepresentation", "ImagePositionPatient", "ImageOrientationPatient"),
    *("PixelSpacing", "RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("SegmentSequence", "SegmentationType", "MaximumFractionalValue"),
)
"""Attributes that are read from a header."""

_MARK_AT, _MARK = 128, b"DICM"

_ENDINGS = (".dcm", ".dicom", ".ima")

_DEEPEST = 8
"""Levels of folders below the given one in which DICOM files are searched."""

_CT_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT image",
    "1.2.840.10008.5.1.4.1.1.2.1": "enhanced CT image",
    "1.2.840.10008.5.1.4.1.1.2.2": "legacy converted enhanced CT image",
}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
PLACED_CAPTURE = "secondary capture with a position"
"""Description of slices that a program wrote as pictures, but in place."""

_SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_DIRECTORY_CLASS = "1.2.840.10008.1.3.10"

_MODALITIES = frozenset(
    {"MR", "PT", "NM", "US", "CR", "DX", "MG", "XA", "RF", "OT", "SC", "RTIMAGE", "RTDOSE", "RTSTRUCT", "RTPLAN", "SEG"}
    | {"SR", "PR", "KO", "REG", "ECG", "OCT", "OP", "PX", "IO", "SM", "ES", "GM", "XC", "DOC", "FUSION", "BMD", "M3D"}
)
"""Modalities that a message may name; anything else in the attribute may be free text."""

_LOCALIZERS = {"LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW", "SCANOGRAM"}
"""Values of ImageType that mark a radiograph of the CT scanner, taken to plan the scan."""


class Content(Enum):
    """Content of a DICOM file."""

    CT = "slices of a CT"
    IMAGE = "an image of another modality"
    SEGMENTATION = "a DICOM SEG"
    COLOUR = "a picture in colour"
    OTHER = "something that is not sliced"
    UNREADABLE = "a damaged file"


@dataclass(frozen=True)
class DicomFile:
    """One DICOM file.

    Attributes:
        path: The file.
        content: What it contains.
        described: The same for a message, as "MR image"; made of standard names, never of the file's own text.
        header: The attributes of :data:`TAGS`.
        stored_bytes: Bytes from the beginning of the pixels to the end of the file; of a packed file all bytes.
        packed: The pixels or the whole file are compressed.
    """

    path: Path
    content: Content
    described: str
    header: Dataset | None = None
    stored_bytes: int = 0
    packed: bool = False

    @property
    def placed(self) -> bool:
        """The file gives a position in the patient."""
        return _is_placed(self.header)

    @property
    def modality_missing(self) -> bool:
        """The file does not state its modality."""
        return not text(self.header, "Modality")


def is_dicom_file(path: Path) -> bool:
    """Return True for a DICOM file, with or without the preamble of 128 bytes, whatever its name is."""
    if path.name.startswith(".") or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_MARK_AT + len(_MARK))
    except OSError:
        return False
    return head[_MARK_AT:] == _MARK or _begins_without_preamble(head)


def _begins_without_preamble(head: bytes) -> bool:
    """Return True where a file begins with an element of the groups 2 or 8, in one of the three encodings.

    The first element of such a file is a group length (UL, 4 bytes) or one of the first attributes.
    """
    if len(head) < 20 or not any(head):
        return False
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    for order in orders:
        group, element = int.from_bytes(head[:2], order), int.from_bytes(head[2:4], order)
        if group not in (0x0002, 0x0008) or element > 0x0070:
            continue
        if head[4:6].isalpha() and head[4:6].isupper():
            return True
        length = int.from_bytes(head[4:8], order)
        if order == "little" and length <= 256 and length % 2 == 0:
            return True
    return False


def files_below(folder: Path) -> list[Path]:
    """Return the files of a folder and of the folders below it, without hidden ones."""
    return list(_files(folder, _DEEPEST, set()))


def dicom_files(folder: Path) -> list[Path]:
    """Return the DICOM files of a folder and of the folders below it, without hidden ones and DICOMDIRs.

    A file that cannot be opened, or is empty or full of zeros after a copy that failed, is one of them beside others:
    left out, a slice at the end of a series would not be missed.
    """
    files = [file for file in files_below(folder) if not _is_directory(file)]
    found = [file for file in files if _may_be_dicom(file)]
    lost = [file for file in files if found and file not in found and _is_lost(file, found)]
    return sorted([*found, *lost], key=files.index) if lost else found


def _may_be_dicom(file: Path) -> bool:
    try:
        with file.open("rb"):
            return is_dicom_file(file)
    except OSError:
        return True


def _is_lost(file: Path, slices: Sequence[Path]) -> bool:
    """Return True for a file without content that is called as slices beside it are."""
    if not any(each.parent == file.parent and _shape(each) == _shape(file) for each in slices):
        return False
    with file.open("rb") as opened:
        return not any(opened.read(_MARK_AT + len(_MARK)))


def _shape(file: Path) -> str:
    """Return a name without its numbers."""
    return re.sub(r"\d+", "0", file.name.lower())


def case_stem(path: Path) -> str:
    """Return a DICOM file's name without an ending; a dot in a name without one is part of the name, as in a UID."""
    return path.name[: -len(path.suffix)] if path.suffix.lower() in _ENDINGS else path.name


def holds_dicom(folder: Path) -> bool:
    """Return True if there is a DICOM file in a folder, or in a folder below it."""
    return any(is_dicom_file(file) and not _is_directory(file) for file in _files(folder, _DEEPEST, set()))


def is_dicom_folder(folder: Path) -> bool:
    """Return True if there is a DICOM file in the folder itself."""
    return any(is_dicom_file(file) and not _is_directory(file) for file in _files(folder, 0, set()))


def _is_directory(file: Path) -> bool:
    return file.name.upper().startswith("DICOMDIR")


def _files(folder: Path, levels: int, seen: set[Path]) -> Iterator[Path]:
    """Files of a folder by name, then those of the folders in it."""
    try:
        resolved = folder.resolve()
        if resolved in seen or not folder.is_dir():
            return
        seen.add(resolved)
        inside = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    except OSError:
        return
    yield from (each for each in inside if each.is_file())
    if levels:
        for each in inside:
            if each.is_dir():
                yield from _files(each, levels - 1, seen)


def look_into(path: Path) -> DicomFile:
    """Read the header of a DICOM file and tell what it contains; a damaged file is one of the answers.

    pydicom warns while values are looked at: call it within :func:`quiet_pydicom`.
    """
    import pydicom

    try:
        with path.open("rb") as file:
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(TAGS), force=True)
            stored = path.stat().st_size - (0 if _is_packed(header) else file.tell())
    except Exception:  # noqa: BLE001  # what a damaged file can make of a parser has no end
        return DicomFile(path, Content.UNREADABLE, "damaged file")
    content, described = _classified(header)
    return DicomFile(path, content, described, header, stored, _is_packed(header))


def _is_packed(header: Dataset) -> bool:
    """Return True if the pixels, or the whole file, are compressed, or that is unknown."""
    from pydicom.uid import UID

    syntax = UID(text(getattr(header, "file_meta", None), "TransferSyntaxUID"))
    # Without a transfer syntax pydicom has found out how the file is written.
    return syntax != "" and (not syntax.is_transfer_syntax or syntax.is_compressed or syntax.is_deflated)


def _classified(header: Dataset) -> tuple[Content, str]:
    """Return the content of a file, and its description for a message."""
    sop_class, modality = _sop_class(header), text(header, "Modality").upper()
    if not sop_class and not modality:
        return Content.UNREADABLE, "file without SOP class and modality"
    if sop_class == _DIRECTORY_CLASS:
        return Content.OTHER, "directory of a medium (DICOMDIR)"
    if sop_class in _SEGMENTATION_CLASSES:
        return Content.SEGMENTATION, "DICOM SEG"
    described = _described(sop_class, modality)
    if not _has_pixels(header):
        damaged = sop_class in _CT_CLASSES or "Rows" in header or "Columns" in header
        return Content.UNREADABLE if damaged else Content.OTHER, described
    return _of_image(header, sop_class, modality, described)


def _of_image(header: Dataset, sop_class: str, modality: str, described: str) -> tuple[Content, str]:
    """Tell slices of a CT from other images, from radiographs of the CT scanner, and from pictures made of a CT."""
    if number(header, "SamplesPerPixel") not in (None, 1):
        return Content.COLOUR, "picture in colour"
    if modality not in ("", "CT"):
        return Content.IMAGE, described
    if _LOCALIZERS & set(_image_type(header)):
        return Content.OTHER, "localizer"
    if sop_class in _CT_CLASSES:
        return Content.CT, described
    if modality and _is_placed(header) and sop_class in ("", _SECONDARY_CAPTURE):
        # Programs write slices that they have resampled so: in place, and in HU.
        return Content.CT, PLACED_CAPTURE
    return Content.OTHER if sop_class == _SECONDARY_CAPTURE else Content.IMAGE, described


def _sop_class(header: Dataset) -> str:
    return text(header, "SOPClassUID") or text(getattr(header, "file_meta", None), "MediaStorageSOPClassUID")


def _is_placed(header: Dataset | None) -> bool:
    """Return True if a file gives a position in the patient."""
    return bool(items(header, "PerFrameFunctionalGroupsSequence")) or (
        numbers(header, "ImagePositionPatient", 3) is not None
        and numbers(header, "ImageOrientationPatient", 6) is not None
    )


def _image_type(header: Dataset) -> list[str]:
    """Return the values of ImageType, and of the frames' own type in an enhanced image."""
    values = list(texts(header, "ImageType"))
    for group in items(header, "SharedFunctionalGroupsSequence"):
        for frame_type in items(group, "CTImageFrameTypeSequence"):
            values += texts(frame_type, "FrameType")
    return [value.upper() for value in values]


def _has_pixels(header: Dataset) -> bool:
    rows, columns = number(header, "Rows"), number(header, "Columns")
    return rows is not None and columns is not None and rows >= 1 and columns >= 1


def _described(sop_class: str, modality: str) -> str:
    """Return a name of a file's kind that is made of standard names only."""
    from pydicom.uid import UID

    if sop_class in _CT_CLASSES and modality in ("", "CT"):
        return _CT_CLASSES[sop_class]
    # Only names of the standard's dictionary are used: the UID itself may identify a patient.
    known = UID(sop_class)
    if sop_class and known.name != sop_class:
        named = known.name.removesuffix(" Storage")
        return f"{named} of modality {modality}" if sop_class in _CT_CLASSES and modality in _MODALITIES else named
    return f"file of modality {modality}" if modality in _MODALITIES else "file of unknown kind"
