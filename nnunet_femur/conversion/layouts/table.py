"""The layout "csv": a table with a row per case and the columns image, mask, patient, side and set.

Paths are relative to the table. Several masks of a case are separated by ``|``. A column ``id`` names the cases;
without it a case is called as its image. All columns but image and mask may be missing or empty.
"""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.conversion.cases import SETS, SIDES, Case, Found, named, stem
from nnunet_femur.errors import InputError
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from nnunet_femur.findings import Finding


NEEDED = ("image", "mask")
"""Columns that a table must have; names are read in lower case."""

_SETS = {name: name for name in SETS} | {"val": "validation"}

_GENERIC = {"ct", "image", "img", "volume"}
"""Names of images that tell nothing: such a case is called as its folder."""


def is_table(path: Path) -> bool:
    """Whether a file is a table with the columns of a list of cases."""
    if path.suffix.lower() != ".csv" or path.name.startswith(".") or not path.is_file():
        return False
    try:
        columns, _ = _read(path)
    except InputError:
        return False
    return set(NEEDED) <= set(columns)


def find_rows(table: Path) -> Found:
    """The cases of a table; a row that cannot be used is an error among the findings.

    Args:
        table: The table, separated by commas, semicolons or tabs.

    Raises:
        InputError: The table cannot be read, lacks a column, or has no rows.
    """
    columns, rows = _read(table)
    lacking = [name for name in NEEDED if name not in columns]
    if lacking:
        msg = f"{table}: has no column {' and no column '.join(lacking)}. Write image and mask into its first line."
        raise InputError(msg)
    if not rows:
        msg = f"{table}: has no rows. Write one per case."
        raise InputError(msg)
    cases: dict[str, Case] = {}
    line_of: dict[str, int] = {}
    findings: list[Finding] = []
    unclear: set[str] = set()
    for line, row in rows:
        result, changed = _case(table, line, row)
        findings += changed
        if result is None:
            continue
        if result.id in cases:
            problem = f"row {line} has the id {result.id}, and so has row {line_of[result.id]}."
            findings.append(finding("duplicate-id", table.name, problem))
            unclear.add(result.id)
            continue
        cases[result.id], line_of[result.id] = result, line
    return Found(table.parent, "csv", tuple(cases[case] for case in sorted(cases.keys() - unclear)), tuple(findings))


def _read(table: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Return the columns of a table in lower case, and its rows with their line numbers."""
    (_, head), *rows = read_table(table) or [(0, [])]
    columns = [name.lower() for name in head]
    return columns, [(line, dict(zip(columns, cells, strict=False))) for line, cells in rows]


def _case(table: Path, line: int, row: dict[str, str]) -> tuple[Case | None, list[Finding]]:
    problems = []
    image, *masks = (_relative(table, cell.strip()) for cell in (row.get("image", ""), *row.get("mask", "").split("|")))
    for what, file in (("image", image), *(("mask", mask) for mask in masks)):
        if file is None:
            problems.append(f"row {line} names no {what}.")
        elif found_below(table.parent, file) is None:
            problems.append(f"row {line} names the {what} {file.as_posix()}, which does not exist.")
    side = SIDES.get(row.get("side", "").lower(), "unknown")
    if row.get("side") and side == "unknown" and row["side"].lower() != "unknown":
        problems.append(f"row {line} has a side other than left, right or both.")
    set_name = _SETS.get(row.get("set", "").lower(), "")
    if row.get("set") and not set_name:
        problems.append(f"row {line} has a set other than {', '.join(SETS)}.")
    found = [finding("table-row", table.name, problem) for problem in problems]
    if found or image is None:
        return None, found
    called = row.get("id") or (image.parent.name if stem(image).lower() in _GENERIC else stem(image))
    case, changed = named(called, image)
    patient = row.get("patient", "").upper()
    # Patients are compared as they are in ids: 042 and 42 are one.
    patient = (patient.lstrip("0") or "0") if patient else case
    return Case(case, patient, side, image, tuple(mask for mask in masks if mask is not None), set_name), changed


def _relative(table: Path, cell: str) -> Path | None:
    """A file of a row relative to the table's folder, so that no path of the machine reaches the record."""
    if not cell or "\0" in cell:
        return None
    path = Path(cell.replace("\\", "/"))
    relative = Path(os.path.relpath(path, table.parent.absolute())) if path.is_absolute() else path
    return found_below(table.parent, relative) or relative


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
