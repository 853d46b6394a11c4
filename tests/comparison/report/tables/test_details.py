"""Tables to look things up."""

from nnunet_femur.comparison.predictions import Unscored
from nnunet_femur.comparison.report.report_data import ReportData
from nnunet_femur.comparison.report.tables import tabulate
from nnunet_femur.comparison.report.tables.details import unscored_tables
from tests.comparison.made import data_of


def test_a_long_table_of_cases_is_cut_and_noted(monkeypatch):
    monkeypatch.setattr("nnunet_femur.comparison.report.tables.details.LIMIT", 3)
    cases = [("A__P__c", "test", "0", f"case{n}", 0.5 + 0.1 * (n % 4)) for n in range(4)]
    table = next(table for table in tabulate(data_of(*cases)) if table.name == "cases_test")
    assert [row.cells[0].text for row in table.rows] == ["case0", "case1", "case2"]
    assert "3 of 4 rows" in table.note


def test_predictions_that_could_not_be_scored_have_a_table_of_their_own():
    scored = data_of(("A__P__c", "test", "0", "a", 0.8)).scored
    assert list(unscored_tables(ReportData(scored))) == []
    (table,) = unscored_tables(ReportData(scored, unscored=[Unscored("A__P__c", "test", "0", "b", "b.nrrd: damaged.")]))
    assert [(row.label, *map(str, row.cells)) for row in table.rows] == [
        ("A__P__c", "test", "0", "b", "b.nrrd: damaged.")
    ]
