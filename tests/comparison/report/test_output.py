"""The main tables in the terminal."""

import re

import pytest

from nnunet_femur.comparison.report.output import print_tables
from nnunet_femur.comparison.report.tables import tabulate
from tests.comparison.made import data_of

CASES = [(f"{m}__P__c", "test", "0", case, value) for m in ("A", "B[x]") for case, value in (("a", 0.8), ("b", 0.9))]


@pytest.fixture
def tables():
    return tabulate(data_of(*CASES))


def test_only_the_main_table_and_every_warning(tables, capsys):
    print_tables(tables, warnings=["[bold]odd"], notes=["later"])
    printed = capsys.readouterr().out
    assert printed.count("Test set") == 1
    assert printed.count("0.850 ± 0.071") == 2 * 6
    assert "B[x] · P · c" in printed
    assert "warning: [bold]odd" in printed
    assert "note: later" in printed


def test_a_narrow_terminal_shows_means_alone(tables, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "90")
    print_tables(tables, warnings=[], notes=[])
    printed = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert "0.850" in printed
    assert "0.850 ± 0.071" not in printed
    assert "report" in printed
    assert max(map(len, printed.splitlines())) <= 90


def test_of_a_job_fits_the_terminal_of_its_study(tables, capsys, monkeypatch):
    monkeypatch.setenv("NNFEMUR_COLUMNS", "80")
    print_tables(tables, warnings=[], notes=[])
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "0.850" in printed
    assert "0.850 ± 0.071" not in printed
    assert "report" in printed


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_names_and_numbers_are_whole_at_every_width(width, capsys, monkeypatch):
    monkeypatch.setenv("NNFEMUR_COLUMNS", str(width))
    methods = ("FemurScratchTrainer__nnUNetPlans__3d_fullres", "FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres")
    data = data_of(*((method, "test", "0", case, 0.8) for method in methods for case in "ab"))
    print_tables(tabulate(data), warnings=[], notes=[])
    printed = capsys.readouterr().out
    assert "FemurScratch · 3d_fullres" in printed
    assert "…" not in printed
    assert printed.count(" 0.800") >= 2
    assert max(map(len, printed.splitlines())) <= width
