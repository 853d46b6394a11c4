"""Text of NRRD and MetaImage headers: the fields, the position of the voxels, and the files that contain them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.imaging.geometry import volume_ending

if TYPE_CHECKING:
    from pathlib import Path

FIRST_BYTES = 1 << 20
"""Largest header that is read, in bytes."""

_USUAL_BYTES = 1 << 14
"""Bytes that contain the whole header of most files."""

_DETACHED = (".nhdr", ".mhd")
"""Endings of headers whose voxels are in other files. Such headers may also have other endings."""

_END_OF_HEADER = re.compile(
    rb"\A(?:NRRD.*?\r?\n\r?\n|(?!NRRD).*?ElementDataFile *= *(?!LIST))", re.DOTALL | re.IGNORECASE
)

_NRRD_LIST = re.compile(rb"^[ \t]*data ?file[ \t]*:[ \t]*LIST[^\n]*\n", re.MULTILINE | re.IGNORECASE)


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


def is_detached(path: Path) -> bool:
    """Return True for an NRRD or MetaImage header whose voxels are in other files, whatever its name.

    Raises:
        OSError: The file cannot be read.
    """
    return data_file(header_text(path)).upper() != "LOCAL"


def data_file(text: HeaderText) -> str:
    """Return the field that names the file with the voxels: "LOCAL" for the header's own file."""
    return text.fields.get("data file" if text.nrrd else "elementdata file", "LOCAL")


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
