"""Find DICOM files by their content, in a folder and in the folders below it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


DICOM_ENDINGS = {"dicom-seg": ".seg.dcm", "rtstruct": ".rtstruct.dcm"}
"""Ending of the DICOM files that this package writes, by format."""

_MARK_AT, _MARK = 128, b"DICM"
"""Position and content of the mark after the preamble of a DICOM file."""

_DEEPEST = 8
"""Levels of folders below the given one that are searched for DICOM files."""


def dicom_format(path: Path) -> str | None:
    """Return the format of a DICOM file that this package writes, by its name; None for other names.

    Example:
        >>> from pathlib import Path
        >>> dicom_format(Path("L1.seg.dcm")), dicom_format(Path("L1.rtstruct.dcm")), dicom_format(Path("IM0001.dcm"))
        ('dicom-seg', 'rtstruct', None)
    """
    name = path.name.lower()
    return next((form for form, ending in DICOM_ENDINGS.items() if name.endswith(ending)), None)


def is_dicom_file(path: Path) -> bool:
    """Return True for a DICOM file, with or without the preamble of 128 bytes, whatever its name."""
    if path.name.startswith(".") or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_MARK_AT + len(_MARK))
    except OSError:
        return False
    return head[_MARK_AT:] == _MARK or _starts_without_preamble(head)


def is_dicom_folder(folder: Path, *, outputs: bool = True) -> bool:
    """Return True if the folder itself contains a DICOM file.

    Args:
        folder: The folder.
        outputs: Files that this package writes count too, see :func:`dicom_format`. Each of them is a mask of its own.
    """
    return _any_dicom(_files(folder, 0, set()), outputs=outputs)


def holds_dicom(folder: Path, *, outputs: bool = True) -> bool:
    """Return True if a folder, or a folder below it, contains a DICOM file.

    Args:
        folder: The folder.
        outputs: Files that this package writes count too, see :func:`dicom_format`.
    """
    return _any_dicom(_files(folder, _DEEPEST, set()), outputs=outputs)


def _any_dicom(files: Iterator[Path], *, outputs: bool) -> bool:
    counting = (file for file in files if outputs or dicom_format(file) is None)
    return any(is_dicom_file(file) and not _is_dicomdir(file) for file in counting)


def files_below(folder: Path) -> list[Path]:
    """Return the files of a folder and of the folders below it, without hidden ones."""
    return list(_files(folder, _DEEPEST, set()))


def dicom_files(folder: Path) -> list[Path]:
    """Return the DICOM files of a folder and of the folders below it, without hidden files and DICOMDIRs.

    A file that cannot be opened is included, and so is an empty file, or one full of zeros after a failed copy, whose
    name resembles the names of slices beside it. Otherwise nothing would show that the last slice of a series is lost.
    """
    files = [file for file in files_below(folder) if not _is_dicomdir(file)]
    found = [file for file in files if _may_be_dicom(file)]
    lost = [file for file in files if found and file not in found and _is_lost(file, found)]
    return sorted([*found, *lost], key=files.index) if lost else found


def _starts_without_preamble(head: bytes) -> bool:
    """Return True if a file starts with an element of group 2 or 8, in one of the three encodings.

    The first element of such a file is a group length (UL, 4 bytes) or one of the first attributes.
    """
    if len(head) < 20 or not any(head):
        return False
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    for order in orders:
        group, element = int.from_bytes(head[:2], order), int.from_bytes(head[2:4], order)
        if group not in (0x0002, 0x0008) or element > 0x0070:
            continue
        if head[4:6].isalpha() and head[4:6].isupper():
            return True
        length = int.from_bytes(head[4:8], order)
        if order == "little" and length <= 256 and length % 2 == 0:
            return True
    return False


def _is_dicomdir(file: Path) -> bool:
    return file.name.upper().startswith("DICOMDIR")


def _may_be_dicom(file: Path) -> bool:
    try:
        with file.open("rb"):
            return is_dicom_file(file)
    except OSError:
        return True


def _is_lost(file: Path, slices: Sequence[Path]) -> bool:
    """Return True for an empty file, or one full of zeros, that is named like slices beside it."""
    if not any(each.parent == file.parent and _without_numbers(each) == _without_numbers(file) for each in slices):
        return False
    with file.open("rb") as opened:
        return not any(opened.read(_MARK_AT + len(_MARK)))


def _without_numbers(file: Path) -> str:
    """Return a name with each number replaced by 0."""
    return re.sub(r"\d+", "0", file.name.lower())


def _files(folder: Path, levels: int, seen: set[Path]) -> Iterator[Path]:
    """Yield the files of a folder by name, then those of the folders in it."""
    try:
        resolved = folder.resolve()
        if resolved in seen or not folder.is_dir():
            return
        seen.add(resolved)
        inside = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    except OSError:
        return
    yield from (each for each in inside if each.is_file())
    if levels:
        for each in inside:
            if each.is_dir():
                yield from _files(each, levels - 1, seen)
