"""Findings and the error that lists them."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from nnunet_femur.findings import Finding, Severity, as_left_out, stop_at_errors, write_findings
from tests.refusing import names, refused

ERROR = Finding("unreadable", Severity.ERROR, "Images/L1.nrrd", "cannot be read.", "Export it again.")
NOTE = Finding("padding", Severity.NOTE, "Images/L2.nrrd", "is padded.")


def test_errors_are_listed_and_notes_are_not():
    with refused("bad-cases") as caught:
        stop_at_errors([NOTE, ERROR, ERROR], Path("source"), outcome="nothing was written:")
    first, *errors, notes = str(caught.value).splitlines()
    assert names(first, "source", "2 problems", "nothing was written:")
    assert [line.strip() for line in errors] == 2 * [f"{ERROR.file}: {ERROR.problem} {ERROR.remedy}"]
    assert names(notes, "padding", "1 file")


def test_many_errors_of_one_kind_are_counted_and_all_of_them_are_in_the_report(tmp_path):
    errors = [replace(ERROR, file=f"Images/L{number}.nrrd") for number in range(20)]
    with refused("bad-cases") as caught:
        stop_at_errors([*errors, NOTE, NOTE], Path("source"), outcome="nothing was written:", more="See report.csv.")
    lines = str(caught.value).splitlines()
    assert len(lines) == 1 + 8 + 1 + 2
    assert names(lines[9], "12 more", "unreadable")
    assert names(lines[10], "padding", "2 files")
    assert lines[11] == "See report.csv."
    write_findings([NOTE, *errors], tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [*(error.file for error in errors), NOTE.file]
    assert rows[-1] == {"severity": "note", "code": "padding", "file": NOTE.file, "problem": NOTE.problem, "remedy": ""}


def test_errors_of_a_case_that_is_left_out_are_warnings_that_name_it():
    left_out = as_left_out("L1", [ERROR, NOTE])
    assert [(found.code, found.severity) for found in left_out] == [
        ("unreadable", Severity.WARNING),
        ("padding", Severity.NOTE),
    ]
    assert "L1" in left_out[0].problem


def test_notes_are_not_errors():
    stop_at_errors([NOTE], Path("source"), outcome="")


def test_json_and_back():
    assert NOTE.as_json()["severity"] == "note"
    assert Finding.from_json(NOTE.as_json()) == NOTE
