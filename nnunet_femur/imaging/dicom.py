"""A folder of DICOM slices as one volume.

GDCM groups, sorts and rescales the slices; here it is made sure that they are one series and a box of evenly spaced
slices. Only geometry and grey values are taken from the headers, and no message quotes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.itk_warnings import collected_warnings
from nnunet_femur.volumes import Geometry, VolumeError

if TYPE_CHECKING:
    import SimpleITK as sitk
    from numpy.typing import NDArray

_POSITION, _ORIENTATION, _INTERCEPT, _SLOPE = "0020|0032", "0020|0037", "0028|1052", "0028|1053"

_MAGIC_AT, _MAGIC = 128, b"DICM"

_UNEVEN = 0.1
"""Largest part of a slice distance by which it may differ from the others; more would put bone in a wrong place."""


@dataclass(frozen=True)
class Series:
    """The slices of one series, in the order of their positions.

    Attributes:
        files: One file per slice.
        geometry: Where the voxels lie; the slices at their mean distance.
        distances_mm: Distance of each slice to the next in mm.
        rescaled: Whether a slope or an intercept is applied when the slices are read.
    """

    files: tuple[Path, ...]
    geometry: Geometry
    distances_mm: tuple[float, ...]
    rescaled: bool


def is_dicom_folder(folder: Path) -> bool:
    """Whether any file in a folder is a DICOM file, by the mark at its beginning."""
    return folder.is_dir() and any(_is_dicom(file) for file in sorted(folder.iterdir()))


def _is_dicom(file: Path) -> bool:
    if file.name.startswith(".") or file.name.upper() == "DICOMDIR" or not file.is_file():
        return False
    with file.open("rb") as content:
        content.seek(_MAGIC_AT)
        return content.read(len(_MAGIC)) == _MAGIC


def find_series(folder: Path) -> Series:
    """The one CT series of a folder.

    Raises:
        VolumeError: There is no series or more than one, a slice is missing or cannot be read, or the slices are no
            box: unevenly spaced, of different sizes, tilted against their direction, or colour pictures.
    """
    import SimpleITK as sitk

    with collected_warnings():
        series = [
            sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)
            for uid in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
        ]
    dicom = {file.name for file in folder.iterdir() if _is_dicom(file)}
    lost = sorted(dicom - {Path(file).name for files in series for file in files})
    if lost:
        problem = f"holds {len(lost)} DICOM file(s) that cannot be read as slices, {lost[0]} for one."
        raise VolumeError(folder, problem, "Copy them again, or take them out.")
    if not series:
        raise VolumeError(folder, "holds no DICOM series.", "Put the slices of one series into it.")
    if len(series) > 1:
        counts = ", ".join(f"{len(files)} slices ({Path(files[0]).name}, ...)" for files in series)
        problem = f"holds {len(series)} DICOM series: {counts}."
        raise VolumeError(folder, problem, "Leave one series in the folder.", code="several-series")
    return _checked(folder, tuple(Path(file) for file in series[0]))


@dataclass(frozen=True)
class _Slice:
    file: Path
    size_xy: tuple[int, ...]
    spacing_mm_xy: tuple[float, ...]
    position_mm: NDArray[np.float64]
    orientation: NDArray[np.float64]
    rescaled: bool


def _read_slice(folder: Path, file: Path) -> _Slice:
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    try:
        with collected_warnings():
            reader.ReadImageInformation()
    except RuntimeError as error:
        raise VolumeError(folder, f"holds {file.name}, which cannot be read.", "Copy the slices again.") from error
    if reader.GetNumberOfComponents() != 1:
        problem = f"holds colour pictures ({file.name})."
        raise VolumeError(folder, problem, "Export the CT itself, not pictures of it.", code="colour")
    size = reader.GetSize()
    if len(size) > 2 and size[2] != 1:
        problem = f"holds {file.name}, which has several slices in one file."
        raise VolumeError(folder, problem, "Export one file per slice, or the volume as .nrrd.", code="not-3d")
    try:
        position = np.array([float(number) for number in reader.GetMetaData(_POSITION).split("\\")])
        orientation = np.array([float(number) for number in reader.GetMetaData(_ORIENTATION).split("\\")])
    except (RuntimeError, ValueError):
        position = orientation = np.empty(0)
    if position.shape != (3,) or orientation.shape != (6,) or not np.isfinite([*position, *orientation]).all():
        problem = f"holds {file.name}, which does not say where its slice lies."
        raise VolumeError(folder, problem, "Export the CT series itself; pictures of it have no place.")
    rescaled = any(
        reader.HasMetaDataKey(key) and reader.GetMetaData(key).strip() not in unchanged
        for key, unchanged in ((_SLOPE, {"1", "1.0", ""}), (_INTERCEPT, {"0", "0.0", ""}))
    )
    return _Slice(file, size[:2], reader.GetSpacing()[:2], position, orientation, rescaled)


def _checked(folder: Path, files: tuple[Path, ...]) -> Series:
    slices = [_read_slice(folder, file) for file in files]
    first = slices[0]
    for other in slices:
        if (
            other.size_xy != first.size_xy
            or not np.allclose(other.spacing_mm_xy, first.spacing_mm_xy, atol=1e-4)
            or not np.allclose(other.orientation, first.orientation, atol=1e-3)
        ):
            problem = f"holds slices of different sizes or directions ({first.file.name} and {other.file.name})."
            raise VolumeError(folder, problem, "Leave the slices of one volume in it.", code="slices-uneven")
    normal = np.cross(first.orientation[:3], first.orientation[3:])
    slices.sort(key=lambda each: float(each.position_mm @ normal))
    if len(slices) < 2:
        raise VolumeError(folder, "holds a single slice.", "Add the other slices of the series.", code="not-3d")
    positions_mm = np.array([each.position_mm for each in slices])
    _require_straight(folder, positions_mm, normal, first.spacing_mm_xy)
    distances_mm = np.diff(positions_mm @ normal)
    _require_even(folder, slices, distances_mm)
    direction = np.column_stack([first.orientation[:3], first.orientation[3:], normal])
    geometry = Geometry(
        (*first.size_xy, len(slices)),
        (*first.spacing_mm_xy, float(distances_mm.mean())),
        tuple(float(number) for number in slices[0].position_mm),
        tuple(float(number) for number in direction.ravel()),
    )
    return Series(
        tuple(each.file for each in slices),
        geometry,
        tuple(float(distance) for distance in distances_mm),
        any(each.rescaled for each in slices),
    )


def _require_straight(
    folder: Path, positions_mm: NDArray[np.float64], normal: NDArray[np.float64], spacing_mm_xy: tuple[float, ...]
) -> None:
    """A tilted gantry shifts each slice within its plane, which a volume of three axes at right angles cannot hold."""
    way_mm = positions_mm - positions_mm[0]
    aside_mm = np.linalg.norm(way_mm - np.outer(way_mm @ normal, normal), axis=1).max()
    if aside_mm > max(spacing_mm_xy):
        problem = f"holds slices that are shifted against each other by up to {aside_mm:.1f} mm, as by a tilted gantry."
        raise VolumeError(folder, problem, "Export it with the tilt corrected.", code="slices-uneven")


def _require_even(folder: Path, slices: list[_Slice], distances_mm: NDArray[np.float64]) -> None:
    usual_mm = float(np.median(distances_mm))
    closest = int(np.argmin(distances_mm))
    if distances_mm[closest] < 0.01 * max(usual_mm, 0.1):
        pair = f"{slices[closest].file.name} and {slices[closest + 1].file.name}"
        problem = f"holds two slices at one place ({pair}), as where two reconstructions lie in one folder."
        raise VolumeError(folder, problem, "Leave one slice per place.", code="slices-uneven")
    widest = int(np.argmax(distances_mm))
    pair = f"between {slices[widest].file.name} and {slices[widest + 1].file.name}"
    if distances_mm[widest] > 1.5 * usual_mm:
        gaps = int((distances_mm > 1.5 * usual_mm).sum())
        problem = (
            f"lacks slices at {gaps} place(s): {pair} are {distances_mm[widest]:.6g} mm instead of {usual_mm:.6g} mm."
        )
        raise VolumeError(folder, problem, "Add the missing slices.", code="slice-gap")
    if np.abs(distances_mm - usual_mm).max() > _UNEVEN * usual_mm:
        problem = f"has slices at {distances_mm.min():.6g} to {distances_mm.max():.6g} mm from each other."
        raise VolumeError(folder, problem, "Export it resampled to even slices.", code="slices-uneven")


def read_series(folder: Path, series: Series) -> sitk.Image:
    """Read the slices as one volume, in HU where the headers say how to get there.

    Raises:
        VolumeError: A slice is truncated or cannot be decoded.
    """
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(file) for file in series.files])
    try:
        with collected_warnings():
            image = reader.Execute()
    except RuntimeError as error:
        raise VolumeError(folder, "holds slices that cannot be decoded.", "Copy them again.") from error
    for key in image.GetMetaDataKeys():
        image.EraseMetaData(key)
    image.SetSpacing(series.geometry.spacing_mm_xyz)
    image.SetOrigin(series.geometry.origin_mm_xyz)
    image.SetDirection(series.geometry.direction)
    return image
