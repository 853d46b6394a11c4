"""Write DICOM files for tests: slices of a CT, enhanced CT in any order of frames, and other kinds of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CT, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
MR, SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7"
RT_STRUCTURE_SET, BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.481.3", "1.2.840.10008.5.1.4.1.1.88.11"

PATIENT = "Rossi^Mario"
"""Name in every header: it must not be in any message."""

ORIGIN_MM, SPACING_MM_XYZ = (-10.0, 20.5, 5.0), (20.0, 21.0, 60.0)


def dataset(sop_class: str = CT, **attributes: Any) -> Dataset:
    """Return a file without pixels."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = sop_class, generate_uid()
    made.file_meta.MediaStorageSOPClassUID = sop_class
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = "1.2.3", "1.2.3.4", "1.2.3.9"
    made.PatientName, made.PatientID = PATIENT, "PID12345"
    made.SeriesDescription = PATIENT
    made.Modality = "CT"
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def add_pixels(made: Dataset, stored: np.ndarray, bits: int = 16) -> Dataset:
    """Add pixels to a file, one frame or several."""
    made.Rows, made.Columns = stored.shape[-2:]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = stored.dtype.itemsize * 8
    made.BitsStored, made.HighBit = bits, bits - 1
    made.PixelRepresentation = int(stored.dtype.kind == "i")
    made.PixelData = np.ascontiguousarray(stored).tobytes()
    made["PixelData"].VR = "OW"
    return made


def ct_slice(stored: np.ndarray, z_mm: float, *, bits: int = 16, **attributes: Any) -> Dataset:
    """Return one slice of a CT; an attribute of None is left out."""
    made = add_pixels(dataset(), stored, bits)
    made.PixelSpacing = [SPACING_MM_XYZ[1], SPACING_MM_XYZ[0]]
    made.ImagePositionPatient = [*ORIGIN_MM[:2], z_mm]
    made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 1, -1024, "HU"
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    for name, value in attributes.items():
        if value is None:
            delattr(made, name)
        else:
            setattr(made, name, value)
    return made


def save(made: Dataset, path: Path) -> Path:
    """Write a file with preamble and file meta information."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def write_ct(folder: Path, stored_zyx: np.ndarray, *, bits: int = 16, **attributes: Any) -> Path:
    """Write a series, one file for each slice; an attribute that is a function gets the number of the slice."""
    for index, plane in enumerate(stored_zyx):
        own = {name: value(index) if callable(value) else value for name, value in attributes.items()}
        z_mm = own.pop("z_mm", ORIGIN_MM[2] + SPACING_MM_XYZ[2] * index)
        save(ct_slice(plane, z_mm, bits=bits, **own), folder / f"IM{index:04d}")
    return folder


def _item(**attributes: Any) -> Sequence:
    made = Dataset()
    for name, value in attributes.items():
        setattr(made, name, value)
    return Sequence([made])


def enhanced_ct(
    stored_zyx: np.ndarray, order: Iterable[int], *, intercepts: np.ndarray | None = None, shared_rescale: bool = True
) -> Dataset:
    """Return an enhanced CT with the slices stored in the given order.

    Args:
        stored_zyx: Stored values, by position.
        order: For each frame the number of its slice.
        intercepts: RescaleIntercept of each slice; -1024 for all if it is None.
        shared_rescale: All frames share slope and intercept.
    """
    order = list(order)
    made = add_pixels(dataset(ENHANCED_CT), stored_zyx[order])
    made.NumberOfFrames = len(order)
    shared, per_frame = Dataset(), []
    shared.PlaneOrientationSequence = _item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    shared.PixelMeasuresSequence = _item(PixelSpacing=[SPACING_MM_XYZ[1], SPACING_MM_XYZ[0]], SliceThickness=1)
    if shared_rescale:
        shared.PixelValueTransformationSequence = _item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
    for index in order:
        group = Dataset()
        z_mm = ORIGIN_MM[2] + SPACING_MM_XYZ[2] * index
        group.PlanePositionSequence = _item(ImagePositionPatient=[*ORIGIN_MM[:2], z_mm])
        if not shared_rescale:
            intercept = -1024 if intercepts is None else intercepts[index]
            group.PixelValueTransformationSequence = _item(RescaleSlope=1, RescaleIntercept=intercept, RescaleType="HU")
        per_frame.append(group)
    made.SharedFunctionalGroupsSequence = Sequence([shared])
    made.PerFrameFunctionalGroupsSequence = Sequence(per_frame)
    return made


def change(path: Path, **attributes: Any) -> None:
    """Change attributes of a file; None removes one."""
    made = pydicom.dcmread(path)
    for name, value in attributes.items():
        if value is None:
            delattr(made, name)
        else:
            setattr(made, name, value)
    made.save_as(path)
