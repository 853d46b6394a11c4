"""One DICOM file, which may be damaged: the attributes of its header, and the kind of its content."""

from __future__ import annotations

import math
import threading
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from nnunet_femur.imaging.geometry import VolumeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydicom.dataset import Dataset


_PYDICOM_MODULES = r"pydicom|nnunet_femur\.imaging\.dicom"
"""Modules in which pydicom's warnings arise: its own, and ours that read values."""


_filter_lock = threading.Lock()

_filter: dict[str, Any] = {"blocks": 0}
"""Number of active blocks of :func:`quiet_pydicom` in all threads, and the filter of warnings they share."""


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Suppress pydicom's warnings inside the block, because they quote headers.

    The filter stays active while any thread is in such a block. Filters of other modules are not changed.
    """
    with _filter_lock:
        if not _filter["blocks"]:
            warnings.filterwarnings("ignore", module=_PYDICOM_MODULES)
            _filter["entry"] = warnings.filters[0]
        _filter["blocks"] += 1
    try:
        yield
    finally:
        with _filter_lock:
            _filter["blocks"] -= 1
            if not _filter["blocks"]:
                # A test or a notebook may have replaced all filters in the meantime.
                with suppress(ValueError):
                    cast("list[Any]", warnings.filters).remove(_filter["entry"])


def value(header: Any, name: str) -> Any:
    """Return the value of an attribute; None if it is missing, empty or invalid."""
    if header is None:
        return None
    try:
        found = header.get(name)
    except Exception:  # noqa: BLE001  # pydicom converts a value when it is read
        return None
    return None if found is None or found == "" else found


def text(header: Any, name: str) -> str:
    """Return an attribute as text without surrounding blanks; empty if it is missing."""
    found = value(header, name)
    return str(found).strip() if isinstance(found, str) else ""


def texts(header: Any, name: str) -> list[str]:
    """Return the values of an attribute as texts without surrounding blanks; an empty list if it is missing."""
    found = value(header, name)
    if found is None:
        return []
    try:
        return [str(each).strip() for each in ([found] if isinstance(found, str) else found)]
    except Exception:  # noqa: BLE001
        return []


def number(header: Any, name: str) -> float | None:
    """Return an attribute as a finite number; None if it is missing or not a number."""
    found = numbers(header, name, 1)
    return found[0] if found else None


def numbers(header: Any, name: str, count: int) -> tuple[float, ...] | None:
    """Return an attribute as a tuple of `count` finite numbers; None if it is missing, or anything else."""
    found = value(header, name)
    if found is None:
        return None
    try:
        values = tuple(float(each) for each in ([found] if isinstance(found, (str, int, float)) else found))
    except Exception:  # noqa: BLE001
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None


def items(header: Any, name: str) -> list[Any]:
    """Return the items of a sequence; an empty list if it is missing or damaged."""
    from pydicom.dataset import Dataset

    found = value(header, name)
    try:
        return [item for item in found if isinstance(item, Dataset)] if found is not None else []
    except Exception:  # noqa: BLE001
        return []


def refuse_attribute(path: Path, problem: str, attribute: str) -> VolumeError:
    """Return the error about an attribute that is missing or invalid."""
    remedy = f"Export the series itself from the scanner or PACS, with its {attribute}."
    return VolumeError(path, problem, remedy, code="dicom-attribute")


TAGS = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"),
    *("Modality", "ImageType", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel"),
    *("BitsAllocated", "BitsStored", "PixelRepresentation", "ImagePositionPatient", "ImageOrientationPatient"),
    *("PixelSpacing", "RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("SegmentSequence", "SegmentationType", "MaximumFractionalValue"),
)
"""Attributes that are read from a file; its pixels are not."""

PLACED_CAPTURE = "secondary capture with a position"
"""Description of slices that a program saved as pictures, with their position."""


class Content(Enum):
    """Content of a DICOM file."""

    CT = "slices of a CT"
    IMAGE = "an image of another modality"
    SEGMENTATION = "a DICOM SEG"
    STRUCTURES = "contours (RTSTRUCT)"
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

    Call it within :func:`quiet_pydicom`: pydicom warns when values are read.
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


ENHANCED_CT = {
    "1.2.840.10008.5.1.4.1.1.2.1": "enhanced CT image",
    "1.2.840.10008.5.1.4.1.1.2.2": "legacy converted enhanced CT image",
}
"""SOP classes of CTs with several slices in one file."""

_CT_CLASSES = {"1.2.840.10008.5.1.4.1.1.2": "CT image", **ENHANCED_CT}

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

_SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")

RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
"""SOP class of an RTSTRUCT."""

_DIRECTORY_CLASS = "1.2.840.10008.1.3.10"

_LOCALIZERS = {"LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW", "SCANOGRAM"}
"""Values of ImageType of a radiograph that the CT scanner takes to plan the scan."""

_MODALITIES = frozenset(
    {"MR", "PT", "NM", "US", "CR", "DX", "MG", "XA", "RF", "OT", "SC", "RTIMAGE", "RTDOSE", "RTSTRUCT", "RTPLAN", "SEG"}
    | {"SR", "PR", "KO", "REG", "ECG", "OCT", "OP", "PX", "IO", "SM", "ES", "GM", "XC", "DOC", "FUSION", "BMD", "M3D"}
)
"""Modalities that a message may quote; anything else in the attribute may be free text."""


def _classified(header: Dataset) -> tuple[Content, str]:
    """Return the kind of content of a file, and its description for a message."""
    sop_class, modality = sop_class_of(header), text(header, "Modality").upper()
    if not sop_class and not modality:
        return Content.UNREADABLE, "file without SOP class and modality"
    if sop_class == _DIRECTORY_CLASS:
        return Content.OTHER, "directory of a medium (DICOMDIR)"
    if sop_class in _SEGMENTATION_CLASSES:
        return Content.SEGMENTATION, "DICOM SEG"
    described = _described(sop_class, modality)
    if sop_class == RT_STRUCTURE_SET:
        return Content.STRUCTURES, described
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


def sop_class_of(header: Dataset | None) -> str:
    """Return the UID of a file's SOP class, which may be in its meta information only; empty if it is missing."""
    return text(header, "SOPClassUID") or text(getattr(header, "file_meta", None), "MediaStorageSOPClassUID")


def _image_type(header: Dataset) -> list[str]:
    """Return the values of ImageType, and of the frame type of an enhanced image."""
    values = list(texts(header, "ImageType"))
    for group in items(header, "SharedFunctionalGroupsSequence"):
        for frame_type in items(group, "CTImageFrameTypeSequence"):
            values += texts(frame_type, "FrameType")
    return [value.upper() for value in values]


def _is_placed(header: Dataset | None) -> bool:
    """Return True if a header contains a position in the patient."""
    return bool(items(header, "PerFrameFunctionalGroupsSequence")) or (
        numbers(header, "ImagePositionPatient", 3) is not None
        and numbers(header, "ImageOrientationPatient", 6) is not None
    )


def _is_packed(header: Dataset) -> bool:
    """Return True if the pixels or the whole file are compressed, or if that is unknown."""
    from pydicom.uid import UID

    syntax = UID(text(getattr(header, "file_meta", None), "TransferSyntaxUID"))
    # pydicom detects the encoding of a file without a transfer syntax, which is never compressed.
    return syntax != "" and (not syntax.is_transfer_syntax or syntax.is_compressed or syntax.is_deflated)


def _has_pixels(header: Dataset) -> bool:
    rows, columns = number(header, "Rows"), number(header, "Columns")
    return rows is not None and columns is not None and rows >= 1 and columns >= 1
