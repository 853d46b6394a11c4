"""A DICOM SEG of the femurs of a CT: a segment for each side, on the grid of the CT's slices.

highdicom encodes the file. It gets only those attributes of the CT that it needs: headers of many scanners and programs
do not comply with the standard, and highdicom refuses these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.dicom_content import quiet_pydicom
from nnunet_femur.imaging.dicom_femurs import algorithm_sequence, bone_codes, dicom_femurs
from nnunet_femur.imaging.dicom_references import MANUFACTURER, MODEL
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from nnunet_femur.imaging.dicom_femurs import DicomFemur
    from nnunet_femur.imaging.dicom_references import Algorithm, DicomCt
    from nnunet_femur.imaging.dicom_slices import Slice


def dicom_seg(labels_zyx: NDArray, ct: DicomCt, algorithm: Algorithm) -> Segmentation:
    """Return a DICOM SEG of a mask, without slices that contain no femur.

    Args:
        labels_zyx: The mask on the CT's grid: 1 in the left femur, 2 in the right one, 3 in a femur of unknown side.
        ct: The CT, to whose slices each frame refers.
        algorithm: The algorithm that made the mask.
    """
    from highdicom.seg import Segmentation, SegmentationTypeValues
    from pydicom.uid import generate_uid

    femurs = dicom_femurs(labels_zyx)
    sources, order = _sources(ct)
    with quiet_pydicom():
        made = Segmentation(
            source_images=sources,
            pixel_array=np.stack([femur.voxels_zyx[order] for femur in femurs], axis=-1),
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=[_described(femur, algorithm) for femur in femurs],
            series_instance_uid=generate_uid(),
            series_number=ct.new_series_number,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            # Of an empty mask, highdicom warns and keeps all frames.
            omit_empty_frames=bool(labels_zyx.any()),
            manufacturer=MANUFACTURER,
            manufacturer_model_name=MODEL,
            software_versions=__version__,
            # The standard requires a text.
            device_serial_number="1",
            content_label="FEMUR",
            content_description="Femur segmentation",
            series_description="Femur segmentation",
        )
        ct.add_patient_and_study(made)
    return made


def _described(femur: DicomFemur, algorithm: Algorithm) -> SegmentDescription:
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription

    category, bone, side = bone_codes(femur.side)
    made = SegmentDescription(
        segment_number=femur.number,
        segment_label=femur.label,
        segmented_property_category=category,
        segmented_property_type=bone,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm_sequence(algorithm),
        display_color=CIELabColor.from_rgb(*(round(255 * part) for part in femur.colour)),
    )
    if side is not None:
        made.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [side]
    return made


def _sources(ct: DicomCt) -> tuple[list[Dataset], list[int]]:
    """Return what highdicom needs of the CT's files, and the slice of each of their frames in their stored order."""
    slices = ct.slices
    if slices[0].frames == 1:
        return [_classic(ct, each) for each in slices], list(range(len(slices)))
    order = sorted(range(len(slices)), key=lambda index: slices[index].frame)
    return [_enhanced(ct, [slices[index] for index in order])], order


def _common(one: Slice) -> Dataset:
    from pydicom.dataset import Dataset

    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = one.uids.sop_class, one.uids.instance
    made.StudyInstanceUID, made.SeriesInstanceUID = one.uids.study, one.uids.series
    made.FrameOfReferenceUID = one.uids.frame_of_reference
    made.Columns, made.Rows = one.size_xy
    for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(made, name, "")
    made.StudyDate = made.StudyTime = None
    return made


def _classic(ct: DicomCt, one: Slice) -> Dataset:
    made = _common(one)
    made.PixelSpacing, made.SliceThickness = list(one.spacing_mm_xy[::-1]), ct.thickness_mm
    made.ImagePositionPatient, made.ImageOrientationPatient = list(one.position_mm), list(one.orientation)
    return made


def _enhanced(ct: DicomCt, frames: list[Slice]) -> Dataset:
    from pydicom.dataset import Dataset

    made, shared = _common(frames[0]), Dataset()
    made.NumberOfFrames = len(frames)
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = list(frames[0].spacing_mm_xy[::-1]), ct.thickness_mm
    orientation.ImageOrientationPatient = list(frames[0].orientation)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    made.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for each in frames:
        group, position = Dataset(), Dataset()
        position.ImagePositionPatient = list(each.position_mm)
        group.PlanePositionSequence = [position]
        groups.append(group)
    made.PerFrameFunctionalGroupsSequence = groups
    return made
