"""Write a mask as a DICOM SEG or an RTSTRUCT, which refer to the DICOM series of its CT."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.atomic_files import cannot_write, written_beside
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.dicom_content import quiet_pydicom
from nnunet_femur.imaging.dicom_files import DICOM_ENDINGS, dicom_format
from nnunet_femur.imaging.dicom_references import Algorithm, DicomCt, dicom_ct
from nnunet_femur.imaging.dicom_seg_writing import dicom_seg
from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.imaging.rtstruct_writing import rtstruct
from nnunet_femur.imaging.writing import FEMUR_SEGMENTS

if TYPE_CHECKING:
    import SimpleITK as sitk

_ENCODERS = {"dicom-seg": dicom_seg, "rtstruct": rtstruct}
_LARGEST_LABEL = max(FEMUR_SEGMENTS.values())


def write_dicom(
    labels: sitk.Image, path: Path | str, ct: DicomCt | Path | str, *, algorithm: Algorithm | None = None
) -> None:
    """Write a mask as a DICOM SEG or as an RTSTRUCT, atomically.

    The file contains a segment for each side. It is part of the study of the CT: it refers to each slice, and patient
    and study are copied from it.

    Args:
        labels: The mask on the CT's grid: 1 in the left femur, 2 in the right one, 3 in a femur of unknown side.
        path: The file, ``NAME.seg.dcm`` or ``NAME.rtstruct.dcm``; its folder must exist.
        ct: The CT: a folder with the slices of one DICOM series, or an enhanced DICOM file.
        algorithm: The algorithm that made the mask. Default: this package.

    Raises:
        VolumeError: The CT is not a DICOM series, or DICOM files cannot refer to it, see
            :func:`~nnunet_femur.imaging.dicom_references.dicom_ct`.
        InputError: The ending of `path` is not one of these ("invalid-name"), the mask has other values
            ("invalid-option"), or another grid than the CT ("grid-differs").
        SetupError: The file cannot be written ("cannot-write").

    Example:
        >>> import SimpleITK as sitk
        >>> write_dicom(sitk.ReadImage("reference.nrrd"), "femur.seg.dcm", "ct.nrrd")
        Traceback (most recent call last):
            ...
        nnunet_femur.imaging.geometry.VolumeError: ct.nrrd: is not a DICOM series, ...
    """
    import SimpleITK as sitk

    path = Path(path)
    form = dicom_format(path)
    if form is None:
        msg = f"{path}: DICOM files cannot be written with this ending. Use {' or '.join(DICOM_ENDINGS.values())}."
        raise InputError(msg, code="invalid-name")
    series = ct if isinstance(ct, DicomCt) else dicom_ct(Path(ct))
    if different := series.geometry.differences(Geometry.of(labels)):
        msg = f"{path}: not written, since the grid of the mask differs from that of {series.path}: {different[0]}."
        raise InputError(msg, code="grid-differs")
    voxels = sitk.GetArrayViewFromImage(labels)
    if voxels.min() < 0 or voxels.max() > _LARGEST_LABEL:
        msg = (
            f"{path}: not written, since the mask has values from {voxels.min()} to {voxels.max()}. Use 1 in the left "
            "femur, 2 in the right one, 3 in a femur of unknown side, and 0 elsewhere."
        )
        raise InputError(msg, code="invalid-option")
    # UIDs of the CT may be invalid, and pydicom's warnings quote them.
    with quiet_pydicom():
        made = _ENCODERS[form](voxels, series, algorithm or Algorithm())
    with written_beside(path, ending=DICOM_ENDINGS[form]) as partial, quiet_pydicom():
        try:
            made.save_as(partial, enforce_file_format=True)
        except OSError as error:
            raise cannot_write(path, error) from error
