"""Read the header of a DICOM file and classify its content: CT, another image, segmentation, ...

Only the attributes of :data:`TAGS` are read. No message quotes their text, because a patient's name may be in any
attribute, also in those that are made for something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from nnunet_femur.imaging.dicom_attributes import items, number, numbers, text, texts

if TYPE_CHECKING:
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

_CT_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT image",
    "1.2.840.10008.5.1.4.1.1.2.1": "enhanced CT image",
    "1.2.840.10008.5.1.4.1.1.2.2": "legacy converted enhanced CT image",
}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
PLACED_CAPTURE = "secondary capture with a position"
"""Description of slices that a program saved as pictures, with their position."""

_SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_DIRECTORY_CLASS = "1.2.840.10008.1.3.10"

_MODALITIES = frozenset(
    {"MR", "PT", "NM", "US", "CR", "DX", "MG", "XA", "RF", "OT", "SC", "RTIMAGE", "RTDOSE", "RTSTRUCT", "RTPLAN", "SEG"}
    | {"SR", "PR", "KO", "REG", "ECG", "OCT", "OP", "PX", "IO", "SM", "ES", "GM", "XC", "DOC", "FUSION", "BMD", "M3D"}
)
"""Modalities that a message may quote; anything else in the attribute may be free text."""

_LOCALIZERS = {"LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW", "SCANOGRAM"}
"""Values of ImageType of a radiograph that the CT scanner takes to plan the scan."""


class Content(Enum):
    """Content of a DICOM file."""

    CT = "slices of a CT"
    IMAGE = "an image of another modality"
    SEGMENTATION = "a DICOM SEG"
    COLOUR = "a colour picture"
    OTHER = "not an image in slices"
    UNREADABLE = "a damaged file"


@dataclass(frozen=True)
class DicomFile:
    """One DICOM file.

    Attributes:
        path: The file.
        content: Kind of its content.
        described: The same for a message, such as "MR image"; it consists of names of the standard only.
        header: The attributes of :data:`TAGS`.
        stored_bytes: Bytes from the start of the pixels to the end of the file; all bytes of a compressed file.
        packed: True if the pixels or the whole file are compressed.
    """

    path: Path
    content: Content
    described: str
    header: Dataset | None = None
    stored_bytes: int = 0
    packed: bool = False

    @property
    def placed(self) -> bool:
        """True if the file contains a position in the patient."""
        return _is_placed(self.header)

    @property
    def modality_missing(self) -> bool:
        """True if the file does not contain its modality."""
        return not text(self.header, "Modality")


def look_into(path: Path) -> DicomFile:
    """Return the header and the kind of content of a DICOM file, which may be damaged.

    Call it within :func:`~nnunet_femur.imaging.dicom_attributes.quiet_pydicom`: pydicom warns when values are read.
    """
    import pydicom

    try:
        with path.open("rb") as file:
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(TAGS), force=True)
            stored = path.stat().st_size - (0 if _is_packed(header) else file.tell())
    except Exception:  # noqa: BLE001  # a damaged file can raise anything in a parser
        return DicomFile(path, Content.UNREADABLE, "damaged file")
    content, described = _classified(header)
    return DicomFile(path, content, described, header, stored, _is_packed(header))


def _is_packed(header: Dataset) -> bool:
    """Return True if the pixels or the whole file are compressed, or if that is unknown."""
    from pydicom.uid import UID

    syntax = UID(text(getattr(header, "file_meta", None), "TransferSyntaxUID"))
    # pydicom detects the encoding of a file without a transfer syntax, which is never compressed.
    return syntax != "" and (not syntax.is_transfer_syntax or syntax.is_compressed or syntax.is_deflated)


def _classified(header: Dataset) -> tuple[Content, str]:
    """Return the kind of content of a file, and its description for a message."""
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
    """Distinguish slices of a CT from other images, from radiographs of the CT scanner, and from pictures of a CT."""
    if number(header, "SamplesPerPixel") not in (None, 1):
        return Content.COLOUR, "colour picture"
    if modality not in ("", "CT"):
        return Content.IMAGE, described
    if _LOCALIZERS & set(_image_type(header)):
        return Content.OTHER, "localizer"
    if sop_class in _CT_CLASSES:
        return Content.CT, described
    if modality and _is_placed(header) and sop_class in ("", _SECONDARY_CAPTURE):
        # Some programs save resampled slices in this way: with their position, and in HU.
        return Content.CT, PLACED_CAPTURE
    return Content.OTHER if sop_class == _SECONDARY_CAPTURE else Content.IMAGE, described


def _sop_class(header: Dataset) -> str:
    return text(header, "SOPClassUID") or text(getattr(header, "file_meta", None), "MediaStorageSOPClassUID")


def _is_placed(header: Dataset | None) -> bool:
    """Return True if a header contains a position in the patient."""
    return bool(items(header, "PerFrameFunctionalGroupsSequence")) or (
        numbers(header, "ImagePositionPatient", 3) is not None
        and numbers(header, "ImageOrientationPatient", 6) is not None
    )


def _image_type(header: Dataset) -> list[str]:
    """Return the values of ImageType, and of the frame type of an enhanced image."""
    values = list(texts(header, "ImageType"))
    for group in items(header, "SharedFunctionalGroupsSequence"):
        for frame_type in items(group, "CTImageFrameTypeSequence"):
            values += texts(frame_type, "FrameType")
    return [value.upper() for value in values]


def _has_pixels(header: Dataset) -> bool:
    rows, columns = number(header, "Rows"), number(header, "Columns")
    return rows is not None and columns is not None and rows >= 1 and columns >= 1


def _described(sop_class: str, modality: str) -> str:
    """Return a description of a file that consists of names of the standard only."""
    from pydicom.uid import UID

    if sop_class in _CT_CLASSES and modality in ("", "CT"):
        return _CT_CLASSES[sop_class]
    # The UID itself may identify a patient; its name in the standard's dictionary does not.
    known = UID(sop_class)
    if sop_class and known.name != sop_class:
        named = known.name.removesuffix(" Storage")
        return f"{named} of modality {modality}" if sop_class in _CT_CLASSES and modality in _MODALITIES else named
    return f"file of modality {modality}" if modality in _MODALITIES else "file of unknown kind"
