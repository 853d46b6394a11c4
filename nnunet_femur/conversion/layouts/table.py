"""Layout "csv": a table with a row per case and the columns image, mask, id, patient, side and set.

Paths are relative to the table. Several masks of a case are separated by ``|``. Without a column ``id``, a case is
named after its image. Only the columns image and mask are required; cells of the other columns may be empty.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.conversion.cases import SETS, Case, Found, Layout, named, set_called
from nnunet_femur.dataset.user_tables import read_table
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.geometry import stem
from nnunet_femur.imaging.sides import UNKNOWN, side_called
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from nnunet_femur.conversion.options import ConversionOptions
    from nnunet_femur.findings import Finding
    from nnunet_femur.progress import Progress


NEEDED = ("image", "mask")
"""Required columns, in lower case."""

_GENERIC = {"ct", "image", "img", "volume"}
"""Names of images that do not identify a case; such a case is named after its folder."""


def is_table(path: Path) -> bool:
    """Return True if a file is a table with the required columns."""
    if path.suffix.lower() != ".csv" or path.name.startswith(".") or not path.is_file():
        return False
    try:
        columns, _ = _read(path)
    except InputError:
        return False
    return set(NEEDED) <= set(columns)


def find_rows(table: Path) -> Found:
    """Return the cases of a table; a row that cannot be used is an error among the findings.

    Args:
        table: The table, separated by commas, semicolons or tabs.

    Raises:
        InputError: The table cannot be read, a required column is missing, or there are no rows.
    """
    columns, rows = _read(table)
    lacking = [name for name in NEEDED if name not in columns]
    if lacking:
        msg = f"{table}: the first line must name the columns image and mask, got no {' and no '.join(lacking)}."
        raise InputError(msg, code="invalid-file")
    if not rows:
        msg = f"{table}: has no rows. Write one row per case."
        raise InputError(msg, code="no-cases")
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
            problem = f"rows {line_of[result.id]} and {line} have the same id {result.id}."
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
    """Return the case of a row, or None, and the findings about the row."""
    problems = []
    image, *masks = (_relative(table, cell.strip()) for cell in (row.get("image", ""), *row.get("mask", "").split("|")))
    for what, file in (("image", image), *(("mask", mask) for mask in masks)):
        if file is None:
            problems.append(f"row {line} has no {what}.")
        elif found_below(table.parent, file) is None:
            problems.append(f"row {line} names the {what} {file.as_posix()}, which does not exist.")
    side = side_called(row.get("side", ""))
    if row.get("side") and side == UNKNOWN and row["side"].lower() != UNKNOWN:
        problems.append(f"side of row {line} must be left, right or both, got {row['side']}.")
    set_name = set_called(row.get("set", ""))
    if row.get("set") and not set_name:
        problems.append(f"set of row {line} must be {', '.join(SETS[:-1])} or {SETS[-1]}, got {row['set']}.")
    found = [finding("table-row", table.name, problem) for problem in problems]
    if found or image is None:
        return None, found
    called = row.get("id") or (image.parent.name if stem(image).lower() in _GENERIC else stem(image))
    case, changed = named(called, image)
    patient = row.get("patient", "").upper()
    # Leading zeros are ignored as in ids: 042 and 42 are the same patient.
    patient = (patient.lstrip("0") or "0") if patient else case
    return Case(case, patient, side, image, tuple(mask for mask in masks if mask is not None), set_name), changed


def _relative(table: Path, cell: str) -> Path | None:
    """Return a file of a row relative to the folder of the table, so that the record contains no absolute paths."""
    if not cell or "\0" in cell:
        return None
    path = Path(cell.replace("\\", "/"))
    relative = Path(os.path.relpath(path, table.parent.absolute())) if path.is_absolute() else path
    return found_below(table.parent, relative) or relative


def found_below(folder: Path, relative: Path) -> Path | None:
    """Return `relative` as the disk spells it, or None if it does not exist.

    The table and the disk may use different Unicode forms of a name: macOS stores an umlaut as two characters.
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
        # Not a folder, not permitted, or a name that is too long for the disk.
        return None
    return found


def _find(source: Path, _options: ConversionOptions, _progress: Progress) -> Found:
    if source.is_file():
        return find_rows(source)
    tables = _tables(source)
    if len(tables) != 1:
        names = ", ".join(path.name for path in tables) or "none"
        msg = f"{source}: must contain one table of cases, got {len(tables)} ({names}). Give the path of the table."
        raise InputError(msg, code="no-cases" if not tables else "duplicate-case")
    return find_rows(tables[0])


def _recognise(source: Path, _options: ConversionOptions) -> str | None:
    if source.is_file():
        return "the source is a file"
    tables = _tables(source)
    return f"the folder contains the table {tables[0].name}" if tables else None


def _tables(source: Path) -> list[Path]:
    return [path for path in sorted(source.iterdir()) if is_table(path)]


LAYOUT = Layout("csv", _find, _recognise, reads_files=True)
"""A table of cases."""
