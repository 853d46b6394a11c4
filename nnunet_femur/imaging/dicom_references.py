"""The DICOM series of a CT, as a DICOM SEG or an RTSTRUCT refers to it: its UIDs, its patient and its study.

Patient and study are copied from the CT, attribute by attribute. Nothing else of the CT's headers is copied, and no
attribute that the CT does not have is filled in.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nnunet_femur.imaging.dicom import find_dicom
from nnunet_femur.imaging.dicom_content import ENHANCED_CT, number, quiet_pydicom
from nnunet_femur.imaging.dicom_files import is_dicom_file
from nnunet_femur.imaging.dicom_series import Series
from nnunet_femur.imaging.geometry import VolumeError
from nnunet_femur.kinds import KINDS
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydicom.dataset import Dataset

    from nnunet_femur.imaging.dicom_slices import Slice
    from nnunet_femur.imaging.geometry import Geometry


PATIENT = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
)
"""Attributes of the patient that are copied."""

STUDY = (
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    "StudyDescription",
)
"""Attributes of the study that are copied."""

_REQUIRED_EVEN_IF_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)

_OTHER = ("SpecificCharacterSet", "SeriesNumber", "SliceThickness", "PositionReferenceIndicator")

_SERIES_OFFSET = 1000
"""Added to the number of the CT's series, so that viewers list the new series after those of the scanner."""

MANUFACTURER = "nnunet_femur developers"
"""Manufacturer in the equipment of DICOM files that this package writes."""

MODEL = "nnunet_femur"
"""Model in the equipment of DICOM files that this package writes."""


@dataclass(frozen=True)
class Algorithm:
    """The algorithm that made a mask, as DICOM files name it.

    Attributes:
        name: Its name, at most 64 characters.
        version: Its version.
        parameters: Further facts about it, such as the name of a trained model.

    Example:
        >>> Algorithm("TotalSegmentator", "2.18.0", {"task": "total"}).name
        'TotalSegmentator'
    """

    name: str = MODEL
    version: str = __version__
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DicomCt:
    """The series of a CT.

    Attributes:
        path: The path as it was given, which errors name.
        series: Its slices, sorted by position, and their grid.
        header: Patient and study in the first slice, and its other attributes that are needed.
    """

    path: Path
    series: Series
    header: Dataset

    @property
    def geometry(self) -> Geometry:
        """Grid of the CT."""
        return self.series.geometry

    @property
    def slices(self) -> tuple[Slice, ...]:
        """Slices of the CT, sorted by position; their order is that of the first axis of an array."""
        return self.series.slices

    @property
    def frame_of_reference(self) -> str:
        """UID of the frame of reference of all slices."""
        return self.slices[0].uids.frame_of_reference

    @property
    def thickness_mm(self) -> float:
        """Thickness of a slice in mm; the distance of the slices if the header does not contain it."""
        return number(self.header, "SliceThickness") or self.geometry.spacing_mm_xyz[2]

    @property
    def new_series_number(self) -> int:
        """Number for a series that is added to the study."""
        return _SERIES_OFFSET + max(0, int(number(self.header, "SeriesNumber") or 0))

    def add_patient_and_study(self, made: Dataset) -> None:
        """Copy patient and study into a new file, with the character set that their texts are encoded in."""
        with quiet_pydicom():
            if "SpecificCharacterSet" in self.header:
                made.SpecificCharacterSet = self.header.SpecificCharacterSet
            elif "SpecificCharacterSet" in made:
                del made.SpecificCharacterSet
            for name in (*PATIENT, *STUDY):
                if name in self.header:
                    made.add(self.header[name])
                elif name in _REQUIRED_EVEN_IF_EMPTY:
                    setattr(made, name, None)
            made.StudyInstanceUID = self.slices[0].uids.study
            made.FrameOfReferenceUID = self.frame_of_reference
            made.PositionReferenceIndicator = None


def is_dicom_ct(path: Path) -> bool:
    """Return True for a DICOM file or a folder, to which DICOM files can refer, without reading it."""
    return path.is_dir() or is_dicom_file(path)


def dicom_ct(path: Path) -> DicomCt:
    """Return the series of a CT, without its voxels.

    Args:
        path: A folder with the slices of one DICOM series in it or below it, or an enhanced DICOM file.

    Raises:
        VolumeError: The path is not a DICOM series (code "unsupported"), the series cannot be read, an attribute that a
            reference needs is missing or not unique ("dicom-attribute"), or the slices belong to several series or to
            several multi-frame files ("unsupported").
    """
    if not is_dicom_ct(path):
        raise not_dicom(path)
    found = find_dicom(path, any_values=True)
    if not isinstance(found, Series):
        raise not_dicom(path)
    uids = [each.uids for each in found.slices]
    for name, attribute in (
        ("instance", "SOPInstanceUID"),
        ("sop_class", "SOPClassUID"),
        ("series", "SeriesInstanceUID"),
        ("study", "StudyInstanceUID"),
        ("frame_of_reference", "FrameOfReferenceUID"),
    ):
        if not all(getattr(each, name) for each in uids):
            problem = f"does not contain {attribute} in all slices, so DICOM files cannot refer to it."
            raise VolumeError(path, problem, KINDS["dicom-attribute"].remedy, code="dicom-attribute")
    if len({(each.series, each.study, each.frame_of_reference) for each in uids}) > 1:
        raise _unsupported(path, "has slices of several series or frames of reference")
    if len(found.files) > 1 and any(each.frames > 1 or each.uids.sop_class in ENHANCED_CT for each in found.slices):
        raise _unsupported(path, "is divided into several multi-frame files")
    if len({(each.uids.instance, each.frame) for each in found.slices}) < len(found.slices):
        problem = "has several slices with the same SOPInstanceUID, so DICOM files cannot refer to them."
        raise VolumeError(path, problem, KINDS["dicom-attribute"].remedy, code="dicom-attribute")
    return DicomCt(path, found, _header(found.slices[0].file))


def _unsupported(path: Path, problem: str) -> VolumeError:
    remedy = "Choose another format, such as nrrd."
    return VolumeError(path, f"{problem}, so DICOM files cannot refer to it.", remedy, code="unsupported")


def not_dicom(path: Path) -> VolumeError:
    """Return the error about a CT that is not a DICOM series."""
    problem = "is not a DICOM series, to which a DICOM SEG or an RTSTRUCT refers."
    remedy = "Give the folder of the DICOM slices, or choose another format, such as nrrd."
    return VolumeError(path, problem, remedy, code="unsupported")


def _header(file: Path) -> Dataset:
    import pydicom

    with quiet_pydicom():
        tags: list[Any] = [*PATIENT, *STUDY, *_OTHER]
        return pydicom.dcmread(file, stop_before_pixels=True, specific_tags=tags, force=True)


def now() -> tuple[str, str]:
    """Return the date and the time of now as DICOM texts."""
    moment = datetime.datetime.now(tz=datetime.UTC).astimezone()
    return moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
