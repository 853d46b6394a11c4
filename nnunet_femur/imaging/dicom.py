"""DICOM as one volume: a folder of slices, an enhanced multi-frame file, a DICOM SEG, or an RTSTRUCT.

The folder may be the whole export of a PACS, with folders for study and series. All files below it are examined, and
files that are not part of the volume are left out with a finding.

The modules in the order in which they are used: `dicom_files` finds DICOM files, `dicom_content` reads the header of
each and classifies it, `dicom_slices` extracts its slices, `dicom_series` chooses the slices of
one volume, which `dicom_stack` sorts and checks, and `dicom_voxels` decodes their voxels. `dicom_segmentation` does the
same for a DICOM SEG, and `rtstruct_reading` for an RTSTRUCT.

`dicom_output` writes masks as DICOM SEG (`dicom_seg_writing`) and as RTSTRUCT (`rtstruct_writing`, `contours`). These
files refer to a series (`dicom_references`) and describe the bone by codes (`dicom_femurs`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nnunet_femur.imaging.dicom_content import Content, look_into, number, quiet_pydicom, text
from nnunet_femur.imaging.dicom_files import dicom_files, dicom_format, holds_dicom, is_dicom_file, is_dicom_folder
from nnunet_femur.imaging.dicom_segmentation import find_segmentation
from nnunet_femur.imaging.dicom_series import find_series, left_out
from nnunet_femur.imaging.geometry import VolumeError
from nnunet_femur.imaging.rtstruct_reading import find_structures

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_femur.imaging.dicom_segmentation import Segmentation
    from nnunet_femur.imaging.dicom_series import Series
    from nnunet_femur.imaging.rtstruct_reading import StructureSet

__all__ = ["enhanced_files", "find_dicom", "holds_dicom", "is_dicom_file", "is_dicom_folder"]


def enhanced_files(folder: Path) -> list[Path]:
    """Return the files of a folder that each contain a whole CT, as multi-frame files of different series.

    Returns:
        The files; an empty list unless there are several, or if the folder contains a CT with one slice in each file.
    """
    found: dict[str, Path] = {}
    with quiet_pydicom():
        for path in sorted(folder.iterdir()):
            if not is_dicom_file(path):
                continue
            file = look_into(path)
            if file.content is not Content.CT:
                continue
            series = text(file.header, "SeriesInstanceUID")
            if (number(file.header, "NumberOfFrames") or 1) < 2 or series in found:
                return []
            found[series] = path
    return list(found.values()) if len(found) > 1 else []


def find_dicom(
    path: Path, *, mask: bool = False, any_values: bool = False, ct: Path | None = None
) -> Series | Segmentation | StructureSet:
    """Return the one volume in a DICOM file or a folder of DICOM files, without its voxels.

    Args:
        path: A DICOM file, or a folder; the folders below it are searched too.
        mask: Look for a mask: the DICOM SEG if there is one, else the RTSTRUCT, else slices of any modality.
        any_values: Accept other modalities than CT, with a warning.
        ct: The CT of a mask, on whose grid an RTSTRUCT was drawn. Default: the slices among the files.

    Raises:
        VolumeError: The files contain no such volume or several, or it is incomplete.
    """
    with quiet_pydicom():
        return _find(path, mask=mask, any_values=any_values, ct=ct)


def _find(path: Path, *, mask: bool, any_values: bool, ct: Path | None) -> Series | Segmentation | StructureSet:
    found_files = dicom_files(path) if path.is_dir() else [path]
    # Masks that this package wrote into the folder of a CT are no findings about the CT.
    files = [look_into(file) for file in found_files if mask or file == path or dicom_format(file) is None]
    if mask:
        segmentations = [file for file in files if file.content is Content.SEGMENTATION]
        structures = [file for file in files if file.content is Content.STRUCTURES]
        for several, kind in ((segmentations, "DICOM SEG"), ([] if segmentations else structures, "RTSTRUCT")):
            if len(several) > 1:
                names = ", ".join(file.path.name for file in several[:4])
                problem = f"contains {len(several)} {kind} files ({names}); expected 1."
                raise VolumeError(path, problem, "Give one of the files.", code="several-series")
        if segmentations:
            found = find_segmentation(path, segmentations[0])
            return replace(found, findings=(*left_out(path, files, segmentations), *found.findings))
        if structures:
            beside = [look_into(file) for file in (dicom_files(ct) if ct.is_dir() else [ct])] if ct else files
            drawn = find_structures(path, structures[0], beside)
            return replace(drawn, findings=(*left_out(path, files, structures), *drawn.findings))
    return find_series(path, files, mask=mask, any_values=any_values)
