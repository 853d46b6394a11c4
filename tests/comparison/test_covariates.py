"""Tables of covariates: how they are read, and what of them divides the cases."""

import pytest

from nnunet_femur.comparison.covariates import Covariates
from tests.refusing import names, refused


@pytest.fixture
def read(tmp_path):
    """A function that reads a table with some content."""

    def of(text: str) -> Covariates:
        path = tmp_path / "covariates.csv"
        path.write_text(text, encoding="utf-8")
        return Covariates.read(path)

    return of


def test_as_spreadsheets_save_it(read):
    table = read("Case;Sex;Implant\nL1;f;\nL2;m;yes\nL3\n").table
    assert table.loc["L2"].to_dict() == {"Sex": "m", "Implant": "yes"}
    assert table.loc["L3"].to_dict() == {"Sex": "", "Implant": ""}


def test_only_what_divides_the_cases(read):
    given = read("case,sex,site,name\n" + "".join(f"L{n},{'fm'[n % 2]},x,n{n}\n" for n in range(8)))
    table, problems = given.of_cases([f"L{n}" for n in range(8)])
    assert list(table.columns) == ["sex"]
    assert len(problems) == 1
    assert names(problems[0], given.path, "name", "6")


def test_cases_that_it_lacks(read):
    table, problems = read("case,sex\nL1,f\nL2,m\nX,m\n").of_cases(["L1", "L2", "L3"])
    assert table["sex"].to_dict() == {"L1": "f", "L2": "m", "L3": ""}
    assert names(problems[0], "1 of 3", "L3")


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "sex\nf\n"])
def test_no_column_of_cases(read, text):
    with refused("invalid-file", "covariates.csv", "case"):
        read(text)


def test_two_values_of_a_case(read):
    with refused("invalid-file", "line 3", "L1"):
        read("case,sex\nL1,f\nL1,m\n")


@pytest.mark.parametrize("text", ["case,sex\nX,f\nY,m\n", "case,sex\nL1,f\nL2,f\n", "case\nL1\n"])
def test_nothing_that_divides_the_cases(read, text):
    with refused("invalid-file", "covariates.csv"):
        read(text).of_cases(["L1", "L2"])
