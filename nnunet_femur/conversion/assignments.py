"""Patients and test cases that users assign in tables, as spreadsheet programs save them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from nnunet_femur.conversion.cases import TEST, safe_id
from nnunet_femur.dataset.user_tables import case_column, read_table
from nnunet_femur.errors import InputError
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from nnunet_femur.conversion.cases import Case
    from nnunet_femur.findings import Finding


_FROM_ID = " (id)"
"""Suffix of a patient that the case id determines: never equal to a patient of a table, even if the names are equal."""


def with_patients(cases: Sequence[Case], table: Path) -> tuple[list[Case], list[Finding]]:
    """Assign the patients of a table; the id determines the patient of a case that is not in the table.

    Args:
        cases: The cases of the source.
        table: The file of ``--patients``.

    Returns:
        The cases in the same order, and a warning for every case that is missing in the table or in the source.

    Raises:
        InputError: The table cannot be read, a column or value is missing, or a case has two patients.
    """
    patients = patient_table(table)
    known = {case.id for case in cases}
    findings = [
        finding("patient-without-case", table.name, f"contains {case}, which is not a case of the source folder.")
        for case in sorted(patients.keys() - known)
    ]
    findings += [
        finding("case-without-patient", table.name, f"does not contain {case}; its id determines the patient.")
        for case in sorted(known - patients.keys())
    ]
    return [replace(case, patient=patients.get(case.id, f"{case.patient}{_FROM_ID}")) for case in cases], findings


def patient_table(table: Path) -> dict[str, str]:
    """Return the patient of each case in a table.

    Args:
        table: The file of ``--patients``.

    Raises:
        InputError: As :func:`with_patients`.
    """
    patients: dict[str, str] = {}
    for line, (case, patient) in _table(table, "patient"):
        if not patient:
            msg = f"{table}: line {line} has no patient. Fill in the column patient, or remove the line."
            raise InputError(msg, code="invalid-file")
        if patients.setdefault(case, patient) != patient:
            msg = f"{table}: line {line} assigns another patient to {case} than a line above. Keep one of the lines."
            raise InputError(msg, code="invalid-file")
    return patients


def with_test_ids(cases: Sequence[Case], file: Path) -> list[Case]:
    """Make exactly the cases that a file names the test set; sets that the source assigns are ignored.

    Raises:
        InputError: The file cannot be read or is empty, names a case that does not exist, or names only some of the
            cases of a patient.
    """
    named = {case for _, (case, _) in _table(file, None)}
    unknown = sorted(named - {case.id for case in cases})
    if unknown:
        msg = f"{file}: the source folder has no case {_listed(unknown)}. Correct the file."
        raise InputError(msg, code="invalid-file")
    by_patient: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        by_patient[case.patient].append(case.id)
    for ids in by_patient.values():
        missing = [case for case in ids if case not in named]
        if missing and len(missing) < len(ids):
            of_them = next(case for case in ids if case in named)
            msg = (
                f"{file}: contains {of_them}, but not {_listed(missing)} of the same patient. "
                "Name all cases of a patient or none."
            )
            raise InputError(msg, code="invalid-file")
    return [replace(case, set=TEST if case.id in named else "") for case in cases]


def shown_patients(cases: Iterable[Case]) -> dict[str, str]:
    """Return the name of each patient in the dataset: unique, and never a name that only a table contains.

    A patient whose name is part of the case ids (442 in L442) keeps it. Other patients are named after their first
    case, as ``P-L442``, because the table of a hospital may contain names or numbers of persons.
    """
    by_patient: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        by_patient[case.patient].append(case.id)
    shown: dict[str, str] = {}
    for patient in sorted(by_patient):
        plain = patient.removesuffix(_FROM_ID)
        ids = sorted(by_patient[patient])
        name = plain.upper() if all(plain.upper() in case for case in ids) else f"P-{ids[0]}"
        while name in shown.values():
            name += "'"
        shown[patient] = name
    return shown


def _table(path: Path, column: str | None) -> list[tuple[int, tuple[str, str]]]:
    """Return line number, case and value of `column` of each line.

    If `column` is None, only cases are needed: the file may then be a list of ids without a header.

    Raises:
        InputError: The table cannot be read, is empty, or lacks a column or an id.
    """
    numbered = read_table(path)
    if not numbered:
        msg = f"{path}: is empty. Write one case per line."
        raise InputError(msg, code="invalid-file")
    header = [cell.lower() for cell in numbered[0][1]]
    where = case_column(header)
    if column is None and where is None and all(len(row) == 1 for _, row in numbered):
        return [(number, (safe_id(row[0]), "")) for number, row in numbered]
    if where is None or (column is not None and column not in header):
        wanted = "the column case" if column is None else f"the columns case and {column}"
        msg = f"{path}: the first line must name {wanted}, got {', '.join(header)}."
        raise InputError(msg, code="invalid-file")
    if not numbered[1:]:
        msg = f"{path}: contains no cases. Write one case per line."
        raise InputError(msg, code="invalid-file")
    value = where if column is None else header.index(column)
    return [(number, (_id(path, number, row, where), _cell(row, value))) for number, row in numbered[1:]]


def _id(path: Path, line: int, row: list[str], where: int) -> str:
    case = _cell(row, where)
    if not case:
        msg = f"{path}: line {line} has no case. Fill in the id, or remove the line."
        raise InputError(msg, code="invalid-file")
    return safe_id(case)


def _cell(row: list[str], where: int) -> str:
    return row[where] if where < len(row) else ""


_MOST_NAMED = 8


def _listed(ids: list[str]) -> str:
    return ", ".join(ids[:_MOST_NAMED]) + (f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else "")
