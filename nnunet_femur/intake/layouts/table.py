"""The layout "csv": a table with a row per case and the columns image, mask, patient, side and set.

Paths are relative to the table. Several masks of a case are separated by ``|``. A column ``id`` names the cases;
without it a case is called as its image. All columns but image and mask may be missing or empty.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.errors import InputError
from nnunet_femur.intake.cases import SETS, Case
from nnunet_femur.intake.layouts.found import Found
from nnunet_femur.intake.layouts.naming import SIDES, named, stem
from nnunet_femur.intake.tables import found_below, read_table
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
