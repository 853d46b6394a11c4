"""The text of NRRD and MetaImage headers: its fields, and the place where the voxels begin."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FIRST_BYTES = 1 << 20
"""As much of a file as its header can be."""

_USUAL_BYTES = 1 << 14
"""As much of a file as its header usually is."""

_END_OF_HEADER = re.compile(
    rb"\A(?:NRRD.*?\r?\n\r?\n|(?!NRRD).*?ElementDataFile *= *(?!LIST))", re.DOTALL | re.IGNORECASE
)

_NRRD_LIST = re.compile(rb"^[ \t]*data ?file[ \t]*:[ \t]*LIST[^\n]*\n", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class HeaderText:
    """The text of a header.

    Attributes:
        nrrd: It is NRRD, else MetaImage.
        fields: Its fields by lower-case name.
        length: Position of the voxels in the file.
        following: Bytes behind the header, or behind the field of NRRD that a list of data files follows.
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
    """Return True for an NRRD or MetaImage header whose voxels are in other files, whatever it is called.

    Raises:
        OSError: The file cannot be read.
    """
    text = header_text(path)
    return text.fields.get("data file" if text.nrrd else "elementdata file", "LOCAL").upper() != "LOCAL"


def is_true(text: HeaderText, name: str) -> bool:
    """Return True for a field of MetaImage that is true."""
    return text.fields.get(name, "").lower()[:1] in ("t", "y", "1")


def numbers(text: str) -> list[float]:
    """Return the numbers of a field; none if one of its words is not a number."""
    found = []
    for word in text.split():
        try:
            found.append(float(word))
        except ValueError:
            return []
    return found
