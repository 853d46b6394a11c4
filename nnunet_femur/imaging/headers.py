"""Headers of volumes: the text of NRRD and MetaImage headers, and the header and checks that all formats share."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from nnunet_femur.imaging.geometry import VolumeError, numbers_text, volume_ending
from nnunet_femur.kinds import KINDS, finding

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.geometry import Geometry


FIRST_BYTES = 1 << 20
"""Number of bytes from the start of a file that are searched for its header."""

_USUAL_BYTES = 1 << 14
"""Bytes that contain the whole header of most files."""

_END_OF_HEADER = re.compile(
    rb"\A(?:NRRD.*?\r?\n\r?\n|(?!NRRD).*?ElementDataFile *= *(?!LIST))", re.DOTALL | re.IGNORECASE
)
"""A blank line in NRRD, the field ElementDataFile in MetaImage; after ``LIST`` the names of files follow."""

_NRRD_LIST = re.compile(rb"^[ \t]*data ?file[ \t]*:[ \t]*LIST[^\n]*\n", re.MULTILINE | re.IGNORECASE)
"""Field of NRRD after which the names of data files follow, one a line."""


@dataclass(frozen=True)
class HeaderText:
    """The text of a header.

    Attributes:
        nrrd: True for NRRD, False for MetaImage.
        fields: The fields by lower-case name.
        length: Bytes of the header; the voxels follow.
        following: Bytes after the header, or after the field of NRRD that a list of data files follows.
    """

    nrrd: bool
    fields: dict[str, str]
    length: int
    following: bytes


def header_text(path: Path) -> HeaderText:
    """Return the text of an NRRD or MetaImage header.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_USUAL_BYTES)
        if _END_OF_HEADER.search(head) is None:
            head += file.read(FIRST_BYTES)
    nrrd = head.startswith(b"NRRD")
    if nrrd:
        blank = re.search(rb"\r?\n\r?\n", head)
        end = blank.end() if blank else len(head)
        pattern = rb"^\s*([A-Za-z][^:=\n]*?)\s*:(?!=)[ \t]*(.*?)\s*$"
    else:
        # MetaImage's header ends with this field.
        last = re.search(rb"^[ \t]*ElementDataFile[ \t]*=[^\n]*(\n|\Z)", head, re.MULTILINE | re.IGNORECASE)
        end = last.end() if last else len(head)
        pattern = rb"^\s*([A-Za-z]\w*)\s*=[ \t]*(.*?)\s*$"
    fields = {
        match[1].decode("latin-1").lower().replace("datafile", "data file"): match[2].decode("utf-8", "replace")
        for match in re.finditer(pattern, head[:end], re.MULTILINE)
    }
    listed = _NRRD_LIST.search(head[:end]) if nrrd else None
    return HeaderText(nrrd, fields, end, head[listed.end() if listed else end :])


def data_file(text: HeaderText) -> str:
    """Return the field that names the file with the voxels: "LOCAL" for the header's own file."""
    return text.fields.get("data file" if text.nrrd else "elementdata file", "LOCAL")


def is_detached(path: Path) -> bool:
    """Return True for an NRRD or MetaImage header whose voxels are in other files, whatever its name.

    Raises:
        OSError: The file cannot be read.
    """
    return data_file(header_text(path)).upper() != "LOCAL"


_DETACHED = (".nhdr", ".mhd")
"""Endings of headers whose voxels are in other files. Such headers may also have other endings."""


def data_files(path: Path) -> list[Path]:
    """Return the files with the voxels of a header; empty for a volume in one file, or a file that cannot be read.

    If the header names its data files by a pattern or not at all, every file of its folder counts, without hidden
    ones.
    """
    if not _may_be_detached(path):
        return []
    try:
        content = path.read_bytes()[:FIRST_BYTES].decode("latin-1")
        beside = sorted(file for file in path.parent.iterdir() if file != path and not file.name.startswith("."))
    except OSError:
        return []
    others = [file for file in beside if file.is_file() and volume_ending(file) not in _DETACHED]
    named = [file for file in others if file.name in content]
    return named if named and "%" not in content else others


def _may_be_detached(path: Path) -> bool:
    ending = volume_ending(path)
    try:
        return ending in _DETACHED or (ending in (".nrrd", ".mha") and path.is_file() and is_detached(path))
    except OSError:
        return False


def is_true(text: HeaderText, name: str) -> bool:
    """Return True if a field of a MetaImage header is present and true."""
    return text.fields.get(name, "").lower()[:1] in ("t", "y", "1")


def numbers(text: str) -> list[float]:
    """Return the numbers of a field; an empty list if one of its words is not a number."""
    found = []
    for word in text.split():
        try:
            found.append(float(word))
        except ValueError:
            return []
    return found


@dataclass(frozen=True)
class Header:
    """Header of a volume in a file.

    Attributes:
        geometry: Grid of the voxels.
        components: Values per voxel: 1, or more for the layers of a segmentation or for colours.
        rescaled: True if a slope or an intercept is applied when the voxels are read.
        fields: Fields of the file's own header by name. They may contain a patient's name, so no message quotes them.
        findings: Assumptions and corrections; their file is the path as given.
        alternatives: Other geometries that the header allows, if it does not define the orientation.
    """

    geometry: Geometry
    components: int
    rescaled: bool
    fields: dict[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    alternatives: tuple[Geometry, ...] = ()


def refuse(path: Path, code: str, problem: str, remedy: str | None = None) -> NoReturn:
    """Raise the error with a code of :data:`nnunet_femur.kinds.KINDS` about a file.

    Args:
        path: The file.
        code: The code.
        problem: The problem, as a sentence without its subject.
        remedy: A more precise fix than that of the code.

    Raises:
        VolumeError: Always.
    """
    raise VolumeError(path, problem, KINDS[code].remedy if remedy is None else remedy, code=code)


def refuse_dimensions(path: Path, dimension: int, components: int) -> NoReturn:
    """Raise the error about a file that is not a single volume of grey values.

    Raises:
        VolumeError: Always.
    """
    problem = (
        f"has {dimension} dimensions and {components} component(s) per voxel; expected three dimensions and one grey "
        "value per voxel."
    )
    refuse(path, "not-3d" if dimension != 3 else "colour", problem)


def refuse_spacing(path: Path, problem: str = "does not state its spacing.") -> NoReturn:
    """Raise the error about a file whose spacing in mm is unknown.

    Raises:
        VolumeError: Always.
    """
    refuse(path, "no-spacing", problem)


MOST_PACKED = 1100
"""Largest ratio of unpacked to packed bytes; that of gzip is at most 1032."""


def require_room(path: Path, needed: int, stored: int) -> None:
    """Refuse a file that is too small for its voxels, even if they are compressed.

    Args:
        path: The file.
        needed: Bytes of the voxels according to the header.
        stored: Bytes of the file.

    Raises:
        VolumeError: The file is too small.
    """
    if needed > MOST_PACKED * stored:
        refuse(path, "unreadable", truncated(needed, stored))


def truncated(needed: int, stored: int) -> str:
    """Return the problem of a file that contains fewer bytes of voxels than its header announces."""
    return f"is truncated: its header announces {needed} bytes of voxels, the file contains {stored}."


MOST_SHEARED = 0.03
"""Largest cosine between two axes of a volume that is accepted: 1.7 degrees from a right angle."""

_SHEARED = 1e-4
"""Largest cosine between axes that is a rounding error of the numbers in a header."""


def checked_geometry(path: Path, geometry: Geometry) -> tuple[Geometry, tuple[Finding, ...]]:
    """Return a geometry with axes at right angles, and the findings about the given one.

    Slightly sheared axes are replaced by the nearest ones at right angles (polar decomposition). The centre of the
    volume keeps its position.

    Raises:
        VolumeError: The geometry is not finite, empty, sheared by more than :data:`MOST_SHEARED`, or its spacing or
            origin is impossible in a CT of a body.
    """
    values = (*geometry.spacing_mm_xyz, *geometry.origin_mm_xyz, *geometry.direction)
    if not np.isfinite(values).all():
        refuse(path, "bad-geometry", "has a spacing, origin or direction that is NaN or infinite.")
    if min(geometry.size_xyz) < 1:
        refuse(path, "bad-geometry", "has no voxels.")
    if not all(1e-3 <= spacing <= 1e3 for spacing in geometry.spacing_mm_xyz):
        refuse(path, "bad-geometry", f"has an impossible spacing of {numbers_text(geometry.spacing_mm_xyz)} mm.")
    if max(abs(origin) for origin in geometry.origin_mm_xyz) > 1e6:
        refuse(path, "bad-geometry", f"has an impossible origin at {numbers_text(geometry.origin_mm_xyz)} mm.")
    axes = np.reshape(geometry.direction, (3, 3))
    lengths = np.linalg.norm(axes, axis=0)
    cosines = axes.T @ axes / np.outer(lengths, lengths) if lengths.all() else np.ones((3, 3))
    sheared = float(np.abs(cosines - np.diag(np.diag(cosines))).max())
    if sheared > MOST_SHEARED or np.abs(lengths - 1).max() > _SHEARED:
        degrees = math.degrees(math.asin(min(1.0, sheared)))
        refuse(path, "bad-geometry", f"has axes {degrees:.1f} degrees from right angles; at most 1.7 are allowed.")
    if sheared <= _SHEARED:
        return geometry, ()
    left, _, right = np.linalg.svd(axes)
    direction = left @ right
    half = (np.array(geometry.size_xyz) - 1) / 2
    origin = geometry.steps_mm @ half + geometry.origin_mm_xyz - (direction * geometry.spacing_mm_xyz) @ half
    straight = replace(
        geometry, origin_mm_xyz=tuple(origin.tolist()), direction=tuple(float(d) for d in direction.ravel())
    )
    shift_mm = float(np.linalg.norm(straight.corners_mm - geometry.corners_mm, axis=1).max())
    problem = (
        f"has axes {math.degrees(math.asin(sheared)):.2f} degrees from right angles. The nearest axes at right angles "
        f"were used, which moves the corners of the volume by {shift_mm:.1f} mm."
    )
    return straight, (finding("axes-straightened", path, problem),)
