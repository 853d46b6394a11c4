"""DICOM as one volume: a folder of slices, an enhanced multi-frame file, or a segmentation (DICOM SEG).

The folder may be the whole export of a PACS, with folders for study and series: everything below it is looked at, and
what is not part of the volume is left out with a finding.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nnunet_femur.imaging.dicom_attributes import number, quiet_pydicom, text
from nnunet_femur.imaging.dicom_files import (
    Content,
    case_stem,
    dicom_files,
    files_below,
    holds_dicom,
    is_dicom_file,
    is_dicom_folder,
    look_into,
)
from nnunet_femur.imaging.dicom_segmentation import Segmentation, find_segmentation, read_segmentation
from nnunet_femur.imaging.dicom_series import Series, find_series, left_out
from nnunet_femur.imaging.dicom_voxels import read_series
from nnunet_femur.imaging.geometry import VolumeError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "Segmentation",
    "Series",
    "case_stem",
    "dicom_files",
    "enhanced_files",
    "files_below",
    "find_dicom",
    "holds_dicom",
    "is_dicom_file",
    "is_dicom_folder",
    "read_segmentation",
    "read_series",
]


def enhanced_files(folder: Path) -> list[Path]:
    """Return the files of a folder that are a whole CT each: multi-frame files of different series.

    Returns:
        The files; none if there are not several, or if the folder itself has a CT with one slice in each file.
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


def find_dicom(path: Path, *, mask: bool = False, any_values: bool = False) -> Series | Segmentation:
    """Return the volume of a DICOM file or of a folder with DICOM files, without its voxels.

    Args:
        path: A DICOM file, or a folder; the folders below it are searched too.
        mask: A mask is looked for: a DICOM SEG where there is one, else slices of any modality.
        any_values: Take other modalities than CT, with a warning.

    Raises:
        VolumeError: There is not exactly one such volume, or it is incomplete.
    """
    with quiet_pydicom():
        return _find(path, mask=mask, any_values=any_values)


def _find(path: Path, *, mask: bool, any_values: bool) -> Series | Segmentation:
    files = [look_into(file) for file in (dicom_files(path) if path.is_dir() else [path])]
    if mask:
        segmentations = [file for file in files if file.content is Content.SEGMENTATION]
        if len(segmentations) > 1:
            names = ", ".join(file.path.name for file in segmentations[:4])
            problem = f"holds {len(segmentations)} DICOM SEG files ({names})."
            raise VolumeError(path, problem, "Give one of the files.", code="several-series")
        if segmentations:
            found = find_segmentation(path, segmentations[0])
            return replace(found, findings=(*left_out(path, files, segmentations), *found.findings))
    return find_series(path, files, mask=mask, any_values=any_values)
