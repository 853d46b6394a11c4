"""Tables of patients and lists of test cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_femur.conversion.assignments import shown_patients, with_patients, with_test_ids
from nnunet_femur.conversion.cases import Case
from tests.refusing import refused


def _case(name: str, patient: str | None = None) -> Case:
    return Case(name, patient or name[1:], "left", Path(f"{name}.nrrd"), (Path(f"{name}_m.nrrd"),))


CASES = [_case("L1"), _case("L2"), _case("R1"), _case("R3")]


@pytest.fixture
def file(tmp_path):
    def write(content: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "given.csv"
        path.write_text(content, encoding=encoding)
        return path

    return write


def _patients(cases) -> dict[str, str]:
    return {case.id: case.patient for case in cases}


class TestPatients:
    @pytest.mark.parametrize(
        "content",
        [
            "case,patient\nL1,a\nL2,a\nR1,b\nR3,b\n",
            "\ufeffcase;age;patient\r\nl1;30;a\r\nl2;30;a\r\nr1;40;b\r\nR3;40;b\r\n",
            "Patient\tID\na\tL1\na\tL2\nb\tR1\n\nb\tR3\n",
        ],
    )
    def test_what_spreadsheets_save(self, file, content):
        cases, findings = with_patients(CASES, file(content))
        assert _patients(cases) == {"L1": "a", "L2": "a", "R1": "b", "R3": "b"}
        assert findings == []

    def test_cases_on_one_side_only_give_a_warning(self, file):
        cases, findings = with_patients(CASES, file("case,patient\nL1,1\nL2,9\nX7,9\n"))
        named = ("X7", "R1", "R3")
        assert [f.code for f in findings] == ["patient-without-case", "case-without-patient", "case-without-patient"]
        assert all(case in found.problem for case, found in zip(named, findings, strict=True))
        # The table's patient 1 is not the 1 in R1.
        assert len({_patients(cases)["L1"], _patients(cases)["R1"]}) == 2

    @pytest.mark.parametrize(
        ("content", "named"),
        [
            ("case,patient\n", ()),
            ("case\nL1\n", ("patient",)),
            ("patient\n1\n", ("case",)),
            ("case,patient\nL1,1\nL1,2\n", ("line 3", "L1")),
            ("case,patient\nL1\n", ("line 2",)),
            ("case,patient\n,1\n", ("line 2",)),
        ],
    )
    def test_refused_with_the_line(self, file, content, named):
        path = file(content)
        with refused("invalid-file", path, *named):
            with_patients(CASES, path)


class TestTestIds:
    @pytest.mark.parametrize("content", ["L2\nr3\n", "id\nL2\nR3\n", "why,case\nold,L2\nnew,R3\n"])
    def test_listed_cases_are_the_test_set(self, file, content):
        assert [case.set for case in with_test_ids(CASES, file(content))] == ["", "test", "", "test"]

    def test_the_sources_own_sets_are_forgotten(self, file):
        cases = [Case(c.id, c.patient, c.side, c.image, c.masks, "test") for c in CASES]
        assert [case.set for case in with_test_ids(cases, file("L2\n"))] == ["", "test", "", ""]

    @pytest.mark.parametrize(
        ("content", "named"),
        [("L1\n", ("L1", "R1")), ("L9\n", ("L9",)), ("", ()), ("name,why\nL1,x\n", ("case",))],
    )
    def test_refused(self, file, content, named):
        path = file(content)
        with refused("invalid-file", path, *named):
            with_test_ids(CASES, path)


class TestShown:
    def test_a_name_that_is_part_of_the_ids_is_kept(self):
        assert shown_patients(CASES) == {"1": "1", "2": "2", "3": "3"}

    def test_a_name_that_only_a_table_contains_is_not_kept(self, file):
        cases, _ = with_patients(CASES, file("case,patient\nL1,Jane Doe\nR1,Jane Doe\nL2,00123\n"))
        shown = shown_patients(cases)
        assert {case.id: shown[case.patient] for case in cases} == {"L1": "P-L1", "R1": "P-L1", "L2": "P-L2", "R3": "3"}

    def test_two_patients_never_share_a_name(self, file):
        cases, _ = with_patients([*CASES, _case("L7", "P-L1")], file("case,patient\nL1,Jane Doe\n"))
        shown = shown_patients(cases)
        assert len(set(shown.values())) == len({case.patient for case in cases})
