"""What a user says about patients and test cases, in files of their own; patients' names stay out of the dataset.

``--patients FILE`` is a table with a column ``case`` (or ``id``) and a column ``patient``. ``--test-ids FILE`` names
one case a line, or is a table with a column ``case`` (or ``id``). Ids count as equal in upper and lower case.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from nnunet_femur.conversion.cases import safe_id
from nnunet_femur.conversion.layouts.table import read_table
from nnunet_femur.conversion.splits import TEST
from nnunet_femur.errors import InputError
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from nnunet_femur.conversion.cases import Case
    from nnunet_femur.findings import Finding

_CASE_COLUMNS = ("case", "id", "case_id")
_MOST_NAMED = 8
_OF_ID = " (id)"


def with_patients(cases: Sequence[Case], table: Path) -> tuple[list[Case], list[Finding]]:
    """Give cases the patients that a table names; the others keep the patient of their id.

    Args:
        cases: The cases of the source.
        table: The file of ``--patients``.

    Returns:
        The cases in the same order, and a warning for every case that only one of both knows.

    Raises:
        InputError: The table cannot be read, lacks a column or a value, or gives a case two patients.
    """
    rows = _table(table, "patient")
    patients: dict[str, str] = {}
    for line, (case, patient) in rows:
        if not patient:
            msg = f"{table}: line {line} names no patient. Fill in the column patient, or take the line out."
            raise InputError(msg)
        if patients.setdefault(case, patient) != patient:
            msg = f"{table}: line {line} gives {case} to another patient than a line above it. Keep one of them."
            raise InputError(msg)
    known = {case.id for case in cases}
    findings = [
        finding("patient-without-case", table.name, f"names {case}, which is no case of the source.")
        for case in sorted(patients.keys() - known)
    ]
    findings += [
        finding("case-without-patient", table.name, f"does not name {case}; its patient was taken from its id.")
        for case in sorted(known - patients.keys())
    ]
    # A patient of the table and one of an id are never the same, even where they are written alike.
    return [replace(case, patient=patients.get(case.id, f"{case.patient}{_OF_ID}")) for case in cases], findings


def with_test_ids(cases: Sequence[Case], file: Path) -> list[Case]:
    """Make the cases that a file names, and no others, the test set; sets that the source gives are forgotten.

    Raises:
        InputError: The file cannot be read, is empty, names a case that is not there, or only some cases of a patient.
    """
    named = {case for _, (case, _) in _table(file, None)}
    unknown = sorted(named - {case.id for case in cases})
    if unknown:
        msg = f"{file}: names {_listed(unknown)}, not among the cases of the source. Correct the file."
        raise InputError(msg)
    by_patient: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        by_patient[case.patient].append(case.id)
    for ids in by_patient.values():
        left_out = [case for case in ids if case not in named]
        if left_out and len(left_out) < len(ids):
            of_them = next(case for case in ids if case in named)
            msg = (
                f"{file}: names {of_them}, but not {_listed(left_out)} of the same patient, who would be on both sides "
                "of the split. Name all cases of a patient or none."
            )
            raise InputError(msg)
    return [replace(case, set=TEST if case.id in named else "") for case in cases]


def shown_patients(cases: Iterable[Case]) -> dict[str, str]:
    """By what name each patient is called in the dataset: unique, and never one that only a table knows.

    A patient who is named in the cases' own ids (442 in L442) keeps that name. Any other is called after the first of
    the cases, ``P-L442``: what a hospital's table says may be a person's name or number.
    """
    by_patient: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        by_patient[case.patient].append(case.id)
    shown: dict[str, str] = {}
    for patient in sorted(by_patient):
        plain = patient.removesuffix(_OF_ID)
        ids = sorted(by_patient[patient])
        name = plain.upper() if all(plain.upper() in case for case in ids) else f"P-{ids[0]}"
        while name in shown.values():
            name += "'"
        shown[patient] = name
    return shown


def _table(path: Path, column: str | None) -> list[tuple[int, tuple[str, str]]]:
    """The case and the value of `column` of every line, with the line's number; a plain list if no column is asked."""
    numbered = read_table(path)
    if not numbered:
        msg = f"{path}: is empty. Give one case a line."
        raise InputError(msg)
    header = [cell.lower() for cell in numbered[0][1]]
    where = next((header.index(name) for name in _CASE_COLUMNS if name in header), None)
    if column is None and where is None and all(len(row) == 1 for _, row in numbered):
        return [(number, (safe_id(row[0]), "")) for number, row in numbered]
    if where is None or (column is not None and column not in header):
        wanted = "case" if column is None else f"case and {column}"
        msg = f"{path}: its first line has to name the column{'' if column is None else 's'} {wanted}. Add it."
        raise InputError(msg)
    if not numbered[1:]:
        msg = f"{path}: names no case. Give one case a line."
        raise InputError(msg)
    value = where if column is None else header.index(column)
    return [(number, (_id(path, number, row, where), _cell(row, value))) for number, row in numbered[1:]]


def _id(path: Path, line: int, row: list[str], where: int) -> str:
    case = _cell(row, where)
    if not case:
        msg = f"{path}: line {line} names no case. Fill in its id, or take the line out."
        raise InputError(msg)
    return safe_id(case)


def _cell(row: list[str], where: int) -> str:
    return row[where] if where < len(row) else ""


def _listed(ids: list[str]) -> str:
    return ", ".join(ids[:_MOST_NAMED]) + (f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else "")
