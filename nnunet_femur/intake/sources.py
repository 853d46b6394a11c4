"""The volumes of a source: one file, a header with its data files, or a folder of DICOM slices."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from nnunet_femur.files import sha256
from nnunet_femur.findings import about
from nnunet_femur.imaging.dicom import files_below
from nnunet_femur.imaging.header_text import is_detached
from nnunet_femur.imaging.reading import read_ct, read_ct_header, read_mask, read_mask_header
from nnunet_femur.kinds import finding
from nnunet_femur.volumes import VolumeError, volume_ending

if TYPE_CHECKING:
    from pathlib import Path

    import SimpleITK as sitk

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.reading import SourceHeader

_DETACHED = (".nhdr", ".mhd")
"""Endings of headers whose voxels are in other files; other names are used for them, too."""


def parts(path: Path) -> list[Path]:
    """Return all files of a volume: itself, a detached header's data files, or the files in and below a DICOM folder.

    Hidden files are left out. Where a header names its data files by a pattern or not at all, every file of its
    folder counts.
    """
    if path.is_dir():
        return sorted(files_below(path))
    return [path, *_data_files(path)] if _is_detached(path) else [path]


def _is_detached(path: Path) -> bool:
    ending = volume_ending(path)
    try:
        return ending in _DETACHED or (ending in (".nrrd", ".mha") and path.is_file() and is_detached(path))
    except OSError:
        return False


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
    root = path if path.is_dir() else path.parent
    listing = "".join(f"{sha256(file)}  {file.relative_to(root).as_posix()}\n" for file in files)
    return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()


def read_source_header(root: Path, file: Path, *, mask: bool = False) -> SourceHeader | Finding:
    """Return the header of a volume or of a folder of DICOM slices, or the finding that it cannot be used."""
    try:
        header = read_mask_header(root / file) if mask else read_ct_header(root / file)
    except VolumeError as error:
        return _unusable(error, file)
    return replace(header, findings=about(file, header.findings))


def read_source(root: Path, file: Path, *, mask: bool = False) -> tuple[SourceHeader, sitk.Image] | Finding:
    """Return header and voxels of a volume or of DICOM slices, or the finding that it cannot be used."""
    try:
        volume = read_mask(root / file) if mask else read_ct(root / file)
    except VolumeError as error:
        return _unusable(error, file)
    return replace(volume.header, findings=about(file, volume.header.findings)), volume.image


def _unusable(error: VolumeError, file: Path) -> Finding:
    return finding(error.code, file, error.problem, error.remedy)
