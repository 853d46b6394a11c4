"""Read a user's table, as a spreadsheet program saves it, and find the files that it names."""

from __future__ import annotations

import csv
import re
import unicodedata
from pathlib import Path

from nnunet_femur.errors import InputError

_SEPARATOR_LINE = re.compile(r"sep=(.)", re.IGNORECASE)


def read_table(path: Path) -> list[tuple[int, list[str]]]:
    """Return the rows that are not empty, each with its line number; cells are stripped and in Unicode's form NFC.

    The separator is that of a first line ``sep=;``, which Excel writes, or else the most frequent of comma, semicolon
    and tab in the first line.

    Raises:
        InputError: The file cannot be read, or is not a table in UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{path}: is not UTF-8 text. Save it as CSV in UTF-8."
        raise InputError(msg) from error
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}). Check the path."
        raise InputError(msg) from error
    if "\0" in text:
        msg = f"{path}: is not text. Save it as CSV in UTF-8."
        raise InputError(msg)
    lines = unicodedata.normalize("NFC", text).splitlines()
    stated = _SEPARATOR_LINE.fullmatch(lines[0].strip()) if lines else None
    skipped = 1 if stated else 0
    first = next((line for line in lines[skipped:] if line.strip()), "")
    separator = stated[1] if stated else max(",;\t", key=first.count)
    reader = csv.reader(lines[skipped:], delimiter=separator)
    try:
        rows = [(skipped + reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        msg = f"{path}: is not a table ({error}). Save it as CSV in UTF-8."
        raise InputError(msg) from error
    return [(number, row) for number, row in rows if any(row)]


def found_below(folder: Path, relative: Path) -> Path | None:
    """Return `relative` as the disk spells it, or None where there is no such file or folder.

    A table and a disk may write one name in two of Unicode's forms: macOS stores an umlaut as two characters.
    """
    try:
        if (folder / relative).exists():
            return relative
        found = Path()
        for part in relative.parts:
            if part in ("..", "."):
                found /= part
                continue
            plain = unicodedata.normalize("NFC", part)
            names = [path.name for path in (folder / found).iterdir()]
            found /= next(name for name in names if unicodedata.normalize("NFC", name) == plain)
    except (OSError, StopIteration):
        # Not a folder, not allowed, or a name longer than the disk takes.
        return None
    return found
