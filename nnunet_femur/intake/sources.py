"""The volumes of a source: one file, a header with its data files, or a folder of DICOM slices."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.dicom import find_series, read_series
from nnunet_femur.files import sha256
from nnunet_femur.intake.kinds import KINDS, finding
from nnunet_femur.intake.segments import parse_segments
from nnunet_femur.volumes import VolumeError, read_header, read_volume, volume_ending

if TYPE_CHECKING:
    from pathlib import Path

    import SimpleITK as sitk

    from nnunet_femur.intake.findings import Finding
    from nnunet_femur.intake.segments import Segment
    from nnunet_femur.volumes import Geometry

_DETACHED = (".nhdr", ".mhd")
"""Headers whose voxels lie in other files."""


def parts(path: Path) -> list[Path]:
    """All files of a volume: itself, a detached header's data files, or the files of a folder of DICOM slices.

    Hidden files are nobody's data. Where a header names its data files by a pattern or not at all, every file of its
    folder counts.
    """
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    if volume_ending(path) not in _DETACHED:
        return [path]
    return [path, *_data_files(path)]


def _data_files(header: Path) -> list[Path]:
    try:
        text = header.read_bytes()[: 1 << 20].decode("latin-1")
        beside = sorted(file for file in header.parent.iterdir() if file != header and not file.name.startswith("."))
    except OSError:
        return []
    others = [file for file in beside if file.is_file() and volume_ending(file) not in _DETACHED]
    named = [file for file in others if file.name in text]
    return named if named and "%" not in text else others


def digest(path: Path) -> str:
    """SHA-256 of everything a volume consists of; of a single file, the file's own.

    Raises:
        OSError: A file cannot be read.
    """
    files = parts(path)
    if files == [path]:
        return sha256(path)
    listing = "".join(f"{sha256(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class SourceHeader:
    """What is known of a volume of a source before its voxels are read.

    Attributes:
        geometry: Where the voxels lie.
        components: Values per voxel; more than one only for the layers of a segmentation.
        rescaled: Whether a slope or an intercept is applied when the voxels are read.
        distances_mm: Distances of the slices of a DICOM series in mm; empty for other formats, whose slices are even.
        segments: The segments that a 3D Slicer segmentation names.
    """

    geometry: Geometry
    components: int
    rescaled: bool
    distances_mm: tuple[float, ...] = ()
    segments: tuple[Segment, ...] = ()


def read_source_header(root: Path, file: Path, *, mask: bool = False) -> SourceHeader | Finding:
    """The header of a volume or of a folder of DICOM slices, or the finding that it cannot be used."""
    try:
        return _header(root / file, mask=mask)
    except VolumeError as error:
        return _unusable(error, file)


def read_source(root: Path, file: Path, *, mask: bool = False) -> tuple[SourceHeader, sitk.Image] | Finding:
    """Header and voxels of a volume or of a folder of DICOM slices, or the finding that it cannot be used."""
    path = root / file
    try:
        header = _header(path, mask=mask)
        if path.is_dir():
            return header, read_series(path, find_series(path))
        return header, read_volume(path, layers=mask)
    except VolumeError as error:
        return _unusable(error, file)


def _header(path: Path, *, mask: bool) -> SourceHeader:
    if path.is_dir():
        series = find_series(path)
        return SourceHeader(series.geometry, 1, series.rescaled, series.distances_mm)
    header = read_header(path)
    if header.components != 1 and not mask:
        problem = f"has {header.components} values per voxel, as a picture in colour has."
        raise VolumeError(path, problem, KINDS["colour"].remedy, code="colour")
    segments = parse_segments(header.fields, header.components) if mask else ()
    if header.components != 1 and not segments:
        problem = f"has {header.components} layers, and its header names no segments in them."
        raise VolumeError(path, problem, KINDS["mask-layers"].remedy, code="mask-layers")
    return SourceHeader(header.geometry, header.components, header.rescaled, segments=segments)


def _unusable(error: VolumeError, file: Path) -> Finding:
    return finding(error.code, file, error.problem, error.remedy)
