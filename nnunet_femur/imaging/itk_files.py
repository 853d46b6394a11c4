"""Read NRRD and MetaImage by ITK, and refuse files that ITK would read wrongly, unsafely or not at all."""

from __future__ import annotations

import math
import os
import re
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.geometry import Geometry, VolumeError, volume_ending
from nnunet_femur.imaging.headers import (
    FIRST_BYTES,
    Header,
    checked_geometry,
    data_file,
    header_text,
    is_true,
    numbers,
    refuse,
    refuse_dimensions,
    refuse_spacing,
    require_room,
    truncated,
)
from nnunet_femur.imaging.unpacking import read_packed_meta, unpacked, voxel_file
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import SimpleITK as sitk

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.headers import HeaderText

_SAVE = "Save it with gzip or raw encoding."

_SPACES = {
    "left-posterior-superior": "LPS",
    "lps": "LPS",
    "right-anterior-superior": "RAS",
    "ras": "RAS",
    "left-anterior-superior": "LAS",
    "las": "LAS",
}
"""NRRD's names of the anatomical spaces."""

_MILLIMETRES = {"", "mm", "millimeter", "millimeters", "millimetre", "millimetres", "???"}
_META_ORIENTATION = ("transformmatrix", "rotation", "orientation")


def read_itk_header(path: Path) -> Header:
    """Return the header of an NRRD or MetaImage file; it may have several values per voxel.

    Raises:
        VolumeError: The file is not three-dimensional, does not contain its spacing, its geometry is invalid, or it
            cannot be read safely.
        RuntimeError: The file is damaged.
    """
    import SimpleITK as sitk

    text = header_text(path)
    _require_harmless(path, text)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        dimension = _dimension(text)
        if dimension is not None and dimension != 3:
            refuse_dimensions(path, dimension, 1)
        raise
    components = reader.GetNumberOfComponents()
    if reader.GetDimension() != 3:
        refuse_dimensions(path, reader.GetDimension(), components)
    doubts = _require_spacing(path, text)
    geometry, sheared = checked_geometry(path, Geometry.of(reader))
    _require_bytes(path, text, geometry, reader)
    doubt, alternatives = _orientation(path, text, geometry)
    findings = (*sheared, *doubts, *doubt, *_origin(path, text))
    fields = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    return Header(geometry, components, rescaled=False, fields=fields, findings=findings, alternatives=alternatives)


def read_itk(path: Path) -> sitk.Image:
    """Return the voxels of an NRRD or MetaImage file whose header has been read.

    Raises:
        RuntimeError: The file is damaged or truncated.
    """
    import SimpleITK as sitk

    text = header_text(path)
    if not text.nrrd and is_true(text, "compresseddata"):
        return read_packed_meta(path, text)
    image = sitk.ReadImage(str(path))
    if volume_ending(path) == ".nrrd":
        _require_whole_nrrd(path, image)
    return image


def _dimension(text: HeaderText) -> int | None:
    """Return the number of dimensions in a header."""
    stated = text.fields.get("dimension" if text.nrrd else "ndims", "")
    return int(stated) if stated.isdecimal() else None


def _require_spacing(path: Path, text: HeaderText) -> tuple[Finding, ...]:
    """Refuse a header without a spacing, for which ITK assumes 1 mm; return the findings about a doubtful one."""
    doubts: tuple[Finding, ...] = ()
    if text.nrrd:
        directions = _vectors(text.fields.get("space directions", ""))
        spacings = numbers(text.fields.get("spacings", ""))
        if len(directions) < 3 and _lengths(spacings) < 3:
            refuse_spacing(path)
        units = re.findall(r'"([^"]*)"', f"{text.fields.get('space units', '')} {text.fields.get('units', '')}")
        other = [unit for unit in units if unit.strip().lower() not in _MILLIMETRES]
    else:
        spacings, sizes = (numbers(text.fields.get(name, "")) for name in ("elementspacing", "elementsize"))
        # In MetaImage, the size of a voxel is the spacing if that is missing.
        if _lengths(spacings or sizes) < 3:
            refuse_spacing(path)
        if spacings and len(sizes) == len(spacings) and not np.allclose(spacings, sizes, rtol=1e-3):
            problem = "contains an ElementSize that differs from its ElementSpacing. The ElementSpacing was used."
            doubts = (finding("transforms-differ", path, problem),)
        unit = text.fields.get("distanceunits", "")
        other = [unit] if unit.strip().lower() not in _MILLIMETRES else []
    if other:
        refuse_spacing(path, "contains its spacing in another unit than mm.")
    return doubts


def _origin(path: Path, text: HeaderText) -> tuple[Finding, ...]:
    """Return the finding about a header without an origin, for which ITK assumes 0."""
    if text.nrrd:
        missing = "space directions" in text.fields and "space origin" not in text.fields
    else:
        missing = not text.fields.keys() & {"offset", "position", "origin"}
    if not missing:
        return ()
    problem = "does not contain its origin, the position of its first voxel; 0 was assumed."
    return (finding("origin-unknown", path, problem),)


def _orientation(path: Path, text: HeaderText, geometry: Geometry) -> tuple[tuple[Finding, ...], tuple[Geometry, ...]]:
    """Return the finding about a header without an orientation, and the other geometries that it allows."""
    turned = _turned(geometry)
    if not text.nrrd:
        if any(name in text.fields for name in _META_ORIENTATION):
            return (), ()
        problem = "has no TransformMatrix, so its orientation is unknown; LPS was assumed."
        return (finding("orientation-unknown", path, problem),), turned
    if not _vectors(text.fields.get("space directions", "")):
        problem = "has spacings without directions, so its orientation is unknown; LPS was assumed."
        return (finding("orientation-unknown", path, problem),), turned
    if text.fields.get("space", "").strip('" ').lower() in _SPACES:
        return (), ()
    problem = "does not name the anatomical space (such as LPS or RAS) of its directions; LPS was assumed."
    return (finding("space-unnamed", path, problem),), turned


def _turned(geometry: Geometry) -> tuple[Geometry, ...]:
    """Return the geometry with its numbers in RAS and in LAS instead of LPS."""
    found = []
    for signs in ((-1.0, -1.0, 1.0), (1.0, -1.0, 1.0)):
        direction = np.diag(signs) @ np.reshape(geometry.direction, (3, 3))
        origin = np.array(signs) * geometry.origin_mm_xyz
        found.append(
            replace(
                geometry,
                origin_mm_xyz=tuple((origin + 0.0).tolist()),
                direction=tuple((direction + 0.0).ravel().tolist()),
            )
        )
    return tuple(found)


def _vectors(text: str) -> list[str]:
    return re.findall(r"\(([^()]*)\)", text)


def _lengths(numbers: Sequence[float]) -> int:
    """Return the number of valid spacings among numbers."""
    return sum(math.isfinite(number) and number != 0 for number in numbers)


def _require_harmless(path: Path, text: HeaderText) -> None:
    """Refuse files that would crash or hang ITK, or make it read files that are not part of the volume.

    ITK overwrites its own memory if a number of an NRRD file with voxels as text has too many digits. It reads voxels
    from any path in a header, even from an endless device.
    """
    encoding = text.fields.get("encoding", "").lower() if text.nrrd else ""
    if encoding in ("ascii", "text", "txt"):
        problem = "contains its voxels as text, which cannot be read safely."
        raise VolumeError(path, problem, _SAVE)
    if encoding in ("bzip2", "bz2"):
        raise VolumeError(path, "is compressed with bzip2, which is not supported.", _SAVE)
    functions = (("elementtointensityfunctionslope", 1.0), ("elementtointensityfunctionoffset", 0.0))
    if not text.nrrd and any(numbers(text.fields.get(name, "")) not in ([], [value]) for name, value in functions):
        problem = "contains a slope or an offset (ElementToIntensityFunction), which ITK does not apply."
        raise VolumeError(path, problem, "Save it with the slope and the offset applied.")
    _require_beside(path, data_file(text), text.following)


def _require_beside(path: Path, name: str, following: bytes) -> None:
    """Refuse data files of a header that are not plain files in or below its folder."""
    if name.upper() == "LOCAL":
        return
    if name.upper().split()[:1] == ["LIST"]:
        names = [line.strip() for line in following.decode("utf-8", "replace").splitlines() if line.strip()]
    elif "%" in name:
        names = name.split()[:1]
    else:
        names = [name]
    for each in names:
        relative = PurePath(each)
        if relative.is_absolute() or ".." in relative.parts:
            problem = "has a header that refers to voxels outside its folder."
            raise VolumeError(path, problem, "Export it as one file, or with the voxels beside the header.")
        if "%" not in each and not (path.parent / relative).is_file():
            problem = "cannot be read: the file with its voxels is missing."
            raise VolumeError(path, problem, "Copy it beside the header.")


def _require_bytes(path: Path, text: HeaderText, geometry: Geometry, reader: sitk.ImageFileReader) -> None:
    """Refuse a header that announces more voxels than its file can contain, before memory is allocated for them."""
    import SimpleITK as sitk

    pixel = sitk.GetPixelIDValueAsString(reader.GetPixelID())
    bits = int((re.search(r"(\d+)-bit", pixel) or ["", "8"])[1])
    needed = math.prod(geometry.size_xyz) * reader.GetNumberOfComponents() * bits // 8
    if data_file(text).upper() != "LOCAL":
        stored = sum(file.stat().st_size for file in path.parent.iterdir() if file.is_file())
    else:
        stored = path.stat().st_size
    require_room(path, needed, stored)
    if text.nrrd or is_true(text, "compresseddata") or not is_true(text, "binarydata"):
        return
    file, start = voxel_file(path, text)
    if file is not None and (there := file.stat().st_size - start) < needed:
        refuse(path, "unreadable", truncated(needed, max(0, there)))


def _require_whole_nrrd(path: Path, image: sitk.Image) -> None:
    """Raise RuntimeError if a gzip NRRD file is damaged: ITK does not compare checksums.

    The voxels are already in memory, so their checksum is cheap. The file is unpacked once more only if that checksum
    differs from the one at its end, which is also the case for another byte order and for several gzip members.
    """
    import SimpleITK as sitk
    from isal import isal_zlib

    with path.open("rb") as file:
        head, blank, _ = file.read(FIRST_BYTES).partition(b"\n\n")
        if not blank or not re.search(rb"^encoding: *(gzip|gz)\s*$", head, re.MULTILINE):
            return
        file.seek(-8, os.SEEK_END)
        expected = int.from_bytes(file.read(4), "little")
    skips = re.search(rb"^(line|byte) ?skip:", head, re.MULTILINE)
    if not skips and isal_zlib.crc32(sitk.GetArrayViewFromImage(image).data.cast("B")) != expected:
        for _ in unpacked(path, start=len(head) + len(blank)):
            pass
