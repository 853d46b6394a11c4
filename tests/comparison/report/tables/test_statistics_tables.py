"""Tables of intervals, ranks and paired tests."""

import math

import pytest

from nnunet_femur.comparison.grouping import group_scores
from nnunet_femur.comparison.report.report_data import ReportData
from nnunet_femur.comparison.report.tables import tabulate
from nnunet_femur.comparison.report.tables.model import GAP, p_value
from nnunet_femur.comparison.scoring import Scored
from nnunet_femur.comparison.statistics.analysis import analyse_groups
from tests.comparison.made import scores_of


class TestStatistics:
    @pytest.fixture
    def tables(self):
        cases = [
            (f"{m}__P__c", "test", "0", f"case{n}", 0.9 - 0.01 * k * n) for k, m in enumerate("AB") for n in range(7)
        ]
        scores = scores_of(*cases)
        statistics = analyse_groups(group_scores(scores))
        return {table.name: table for table in tabulate(ReportData(Scored(scores), statistics=statistics))}

    def test_intervals_and_ranks(self, tables):
        table = tables["statistics_test_volume_dice"]
        assert table.place == "open"
        row = dict(zip([column.title for column in table.columns], table.rows[0].cells, strict=True))
        assert row["Over cases: mean ± SD"].text == "0.900 ± 0.000"
        assert row["Over cases: 95 % CI of mean"].text == "0.900 to 0.900"
        assert row["Rank: place"].text == "1"
        assert "Kendall’s τ" in table.note

    def test_pairs(self, tables):
        table = tables["pairs_test_volume_dice"]
        (row,) = table.rows
        texts = dict(zip([column.title for column in table.columns], map(str, row.cells), strict=True))
        assert (row.label, texts["Second method"]) == ("A · P · c", "B · P · c")
        assert [texts[f"Patients: {word}"] for word in ("n", "wins", "ties", "losses")] == ["7", "6", "1", "0"]
        assert texts["Difference: median"] == "+0.0300"
        assert texts["Difference: effect"] == "+1.00"
        assert texts["Test: p"] == "0.031"  # Six differences of one sign: 2 / 2^6.

    @pytest.mark.parametrize(("p", "text"), [(0.0004, "< 0.001"), (0.0216, "0.022"), (1.0, "1.000")])
    def test_p_values(self, p, text):
        assert p_value(p).text == text
        assert p_value(math.nan) is GAP
