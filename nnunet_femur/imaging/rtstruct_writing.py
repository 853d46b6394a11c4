"""An RTSTRUCT of the femurs of a CT: an ROI for each side, with contours just within the edges of the voxels.

rt-utils, the usual library, writes contours through the centres of the outermost voxels, from which most other programs
restore fewer voxels, and none at all of a single voxel. The contours here have the voxels of the mask inside for either
kind of program, see `contours`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.boxes import box_of, is_empty
from nnunet_femur.imaging.contours import contours_of
from nnunet_femur.imaging.dicom_content import RT_STRUCTURE_SET, quiet_pydicom
from nnunet_femur.imaging.dicom_femurs import algorithm_sequence, bone_codes, dicom_femurs
from nnunet_femur.imaging.dicom_references import MANUFACTURER, MODEL, now
from nnunet_femur.imaging.dicom_stack import axes_of
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from nnunet_femur.imaging.dicom_femurs import DicomFemur
    from nnunet_femur.imaging.dicom_references import Algorithm, DicomCt
    from nnunet_femur.imaging.dicom_slices import Slice

_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"
"""SOP class that references to a study have (Detached Study Management, retired)."""


def rtstruct(labels_zyx: NDArray, ct: DicomCt, algorithm: Algorithm) -> Dataset:
    """Return an RTSTRUCT of a mask.

    Each ROI also contains the grid of the CT, so that the voxels can be restored without the CT.

    Args:
        labels_zyx: The mask on the CT's grid: 1 in the left femur, 2 in the right one, 3 in a femur of unknown side.
        ct: The CT, to whose slices each contour refers.
        algorithm: The algorithm that made the mask.
    """
    made = _file()
    ct.add_patient_and_study(made)
    made.SeriesNumber = ct.new_series_number + 1
    made.ReferencedFrameOfReferenceSequence = [_frame_of_reference(ct)]
    rois, contours, observations = [], [], []
    for femur in dicom_femurs(labels_zyx):
        rois.append(_roi(femur, ct, algorithm))
        contours.append(_roi_contour(femur, ct))
        observations.append(_observation(femur))
    made.StructureSetROISequence = rois
    made.ROIContourSequence = contours
    made.RTROIObservationsSequence = observations
    return made


def _file() -> Dataset:
    """Return a file without patient, study, references and contours."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ImplicitVRLittleEndian, generate_uid

    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = RT_STRUCTURE_SET, generate_uid()
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = RT_STRUCTURE_SET
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    # With explicit value representations, a contour has room for some 2000 points only.
    made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    date, time = now()
    made.InstanceCreationDate, made.InstanceCreationTime = date, time
    made.StructureSetDate, made.StructureSetTime = date, time
    made.StructureSetLabel, made.SeriesDescription = "FEMUR", "Femur contours"
    made.Modality, made.OperatorsName = "RTSTRUCT", None
    made.SeriesInstanceUID, made.InstanceNumber = generate_uid(), 1
    made.Manufacturer, made.ManufacturerModelName = MANUFACTURER, MODEL
    made.SoftwareVersions = __version__
    made.ApprovalStatus = "UNAPPROVED"
    return made


def _item(**attributes: object) -> Dataset:
    from pydicom.dataset import Dataset

    made = Dataset()
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def _image(one: Slice) -> Dataset:
    """Return the reference to a slice."""
    made = _item(ReferencedSOPClassUID=one.uids.sop_class, ReferencedSOPInstanceUID=one.uids.instance)
    if one.frames > 1:
        made.ReferencedFrameNumber = one.frame + 1
    return made


def _frame_of_reference(ct: DicomCt) -> Dataset:
    images = [_image(each) for each in ct.slices]
    if ct.slices[0].frames > 1:
        # One reference to the file, instead of one for each of its frames.
        images = images[:1]
        del images[0].ReferencedFrameNumber
    series = _item(SeriesInstanceUID=ct.slices[0].uids.series, ContourImageSequence=images)
    study = _item(
        ReferencedSOPClassUID=_STUDY_CLASS,
        ReferencedSOPInstanceUID=ct.slices[0].uids.study,
        RTReferencedSeriesSequence=[series],
    )
    return _item(FrameOfReferenceUID=ct.frame_of_reference, RTReferencedStudySequence=[study])


def _roi(femur: DicomFemur, ct: DicomCt, algorithm: Algorithm) -> Dataset:
    volume_ml = float(np.count_nonzero(femur.voxels_zyx)) * ct.geometry.voxel_volume_ml
    return _item(
        ROINumber=femur.number,
        ReferencedFrameOfReferenceUID=ct.frame_of_reference,
        ROIName=femur.label,
        ROIVolume=_decimal(volume_ml),
        ROIGenerationAlgorithm="AUTOMATIC",
        ROIGenerationDescription=f"{algorithm.name} {algorithm.version}"[:64],
        ROIDerivationAlgorithmIdentificationSequence=algorithm_sequence(algorithm),
    )


def _observation(femur: DicomFemur) -> Dataset:
    category, bone, side = bone_codes(femur.side)
    if side is not None:
        bone.SegmentedPropertyTypeModifierCodeSequence = [side]
    return _item(
        ObservationNumber=femur.number,
        ReferencedROINumber=femur.number,
        SegmentedPropertyCategoryCodeSequence=[category],
        RTROIIdentificationCodeSequence=[bone],
        RTROIInterpretedType="ORGAN",
        ROIInterpreter=None,
    )


def _roi_contour(femur: DicomFemur, ct: DicomCt) -> Dataset:
    made = _item(
        ROIDisplayColor=[round(255 * part) for part in femur.colour],
        ReferencedROINumber=femur.number,
        SourcePixelPlanesCharacteristicsSequence=[_grid(ct)],
    )
    contours = []
    for number, (one, points_mm) in enumerate(_contours_mm(femur, ct), start=1):
        contour = _item(
            ContourImageSequence=[_image(one)],
            ContourGeometricType="CLOSED_PLANAR",
            NumberOfContourPoints=len(points_mm),
            ContourNumber=number,
        )
        contour.ContourData = [f"{value:.4f}" for value in points_mm.ravel()]
        contours.append(contour)
    if contours:
        made.ContourSequence = contours
    return made


def _contours_mm(femur: DicomFemur, ct: DicomCt) -> Iterator[tuple[Slice, NDArray[np.float64]]]:
    """Yield the slice of each contour, and its points in mm, shape (n, 3)."""
    box = box_of(femur.voxels_zyx)
    if is_empty(box):
        return
    first_yx = np.array([box[2].start, box[1].start])
    for index in range(box[0].start, box[0].stop):
        one = ct.slices[index]
        along = axes_of(one)[:2] * np.array(one.spacing_mm_xy)[:, np.newaxis]
        for points_xy in contours_of(femur.voxels_zyx[index][box[1:]]):
            yield one, np.array(one.position_mm) + (points_xy + first_yx) @ along


def _grid(ct: DicomCt) -> Dataset:
    """Return the grid of the CT's slices."""
    grid, first = ct.geometry, ct.slices[0]
    return _item(
        SpacingBetweenSlices=_decimal(grid.spacing_mm_xyz[2]),
        ImagePositionPatient=[_decimal(each) for each in first.position_mm],
        ImageOrientationPatient=[_decimal(each) for each in first.orientation],
        NumberOfFrames=grid.size_xyz[2],
        Rows=grid.size_xyz[1],
        Columns=grid.size_xyz[0],
        PixelSpacing=[_decimal(each) for each in first.spacing_mm_xy[::-1]],
    )


def _decimal(number: float) -> str:
    """Return a number as a decimal string of at most 16 characters."""
    from pydicom.valuerep import format_number_as_ds

    with quiet_pydicom():
        return format_number_as_ds(float(number))
