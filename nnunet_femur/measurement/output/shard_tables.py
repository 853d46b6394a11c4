"""Tables that several machines have written, joined to one for all cases."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from nnunet_femur.atomic_files import cannot_write, write_text
from nnunet_femur.errors import InputError
from nnunet_femur.records import read_json
from nnunet_femur.shards import with_shards

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def join_csv(folder: Path, name: str) -> Path | None:
    """Write ``folder/name`` with the rows of all parts, in the order of the cases; None if no part has written rows.

    Rows of a case in a later file replace those in an earlier one.

    Args:
        folder: The output folder.
        name: Name of the table.

    Raises:
        InputError: A table lacks columns (code "invalid-file").
        SetupError: The table cannot be written (code "cannot-write").
    """
    by_case: dict[str, list[Mapping[str, Any]]] = {}
    columns: list[str] = []
    for path in with_shards(folder, name):
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows, header = list(reader), list(reader.fieldnames or ())
        if rows and "case" not in header:
            msg = f"{path}: has no column case. Run the command of this part again."
            raise InputError(msg, code="invalid-file")
        # A part without cases has only the columns that do not depend on them.
        columns = header if len(header) > len(columns) else columns
        by_case |= _by_case(rows)
    if not by_case:
        return None
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(row for case in sorted(by_case) for row in by_case[case])
    return _written(folder / name, text.getvalue())


def join_json(folder: Path, name: str) -> Path | None:
    """Write ``folder/name``, a list with an object per femur, like :func:`join_csv`.

    Args:
        folder: The output folder.
        name: Name of the file.

    Raises:
        InputError: A file is not such a list (code "invalid-file").
        SetupError: The file cannot be written (code "cannot-write").
    """
    by_case: dict[str, list[Mapping[str, Any]]] = {}
    for path in with_shards(folder, name):
        content = read_json(path)
        if not isinstance(content, list) or not all(isinstance(each, dict) and "case" in each for each in content):
            msg = f"{path}: is not a list of measurements. Run the command of this part again."
            raise InputError(msg, code="invalid-file")
        by_case |= _by_case(content)
    if not by_case:
        return None
    records = [record for case in sorted(by_case) for record in by_case[case]]
    return _written(folder / name, json.dumps(records, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _by_case(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(str(row["case"]), []).append(row)
    return found


def _written(path: Path, text: str) -> Path:
    try:
        write_text(path, text)
    except OSError as error:
        raise cannot_write(path, error) from error
    return path
