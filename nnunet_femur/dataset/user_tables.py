"""Tables that users write, as spreadsheet programs save them."""

from __future__ import annotations

import csv
import re
import unicodedata
from typing import TYPE_CHECKING

from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CASE_COLUMNS = ("case", "id", "case_id")
"""Headings of the column with the cases, in lower case; the first one that a table has."""

_SEPARATOR_LINE = re.compile(r"sep=(.)", re.IGNORECASE)


def read_table(path: Path) -> list[tuple[int, list[str]]]:
    """Return the rows of a table that are not empty, each with its line number.

    Cells have no surrounding blanks and are in Unicode form NFC.

    The separator is that of a first line ``sep=;``, which Excel writes. Without such a line it is the most frequent of
    comma, semicolon and tab in the first line.

    Raises:
        InputError: The file cannot be read (code "unreadable"), or is not a table in UTF-8 (code "invalid-file").
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{path}: is not UTF-8 text. Save it as CSV in UTF-8."
        raise InputError(msg, code="invalid-file") from error
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}). Check the path."
        raise InputError(msg, code="unreadable") from error
    if "\0" in text:
        msg = f"{path}: is not text. Save it as CSV in UTF-8."
        raise InputError(msg, code="invalid-file")
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
        raise InputError(msg, code="invalid-file") from error
    return [(number, row) for number, row in rows if any(row)]


def case_column(headings: Sequence[str]) -> int | None:
    """Return the place of the column with the cases, in any case of letters; None if there is none.

    Example:
        >>> case_column(["Sex", "Case_ID"])
        1
    """
    lower = [heading.lower() for heading in headings]
    return next((lower.index(name) for name in CASE_COLUMNS if name in lower), None)
