"""Sentences at the top of a report, by the methods and numbers that they name, and the tables of claims."""

import pytest

from nnunet_femur.comparison.grouping import Measure, group_scores
from nnunet_femur.comparison.report.headlines import headlines
from nnunet_femur.comparison.report.report_data import ReportData
from nnunet_femur.comparison.report.tables.claim_tables import claim_tables
from nnunet_femur.comparison.scoring import Scored
from nnunet_femur.comparison.statistics.analysis import analyse_groups
from nnunet_femur.comparison.statistics.margins import Margins
from tests.comparison.made import femur, measured_data, scores_of
from tests.refusing import names

KEYS = (Measure("volume", "all", "whole", "dice"), Measure("volume", "all", "whole", "hd95"))


def _data(margins: Margins | None = None, **methods: list[float]) -> ReportData:
    cases = [
        (name, "test", "0", f"c{place}", value)
        for name, values in methods.items()
        for place, value in enumerate(values)
    ]
    scored = Scored(scores_of(*cases, keys=KEYS[:1]))
    return ReportData(scored, statistics=analyse_groups(group_scores(scored.scores), margins=margins))


class TestBestMethod:
    def test_a_claim_that_holds(self):
        (sentence,) = headlines(
            _data(A__P__c=[0.95, 0.94, 0.96, 0.95, 0.96], B__P__c=[0.94, 0.92, 0.93, 0.93, 0.94]).statistics
        )
        assert names(sentence, "A", "B", "0.16 %")

    def test_a_claim_that_does_not_hold_needs_patients(self):
        (sentence,) = headlines(_data(A__P__c=[0.95, 0.90, 0.96] * 2, B__P__c=[0.94, 0.92, 0.93] * 2).statistics)
        # Gains 0.01, -0.02 and 0.03, twice: mean 0.00667, standard deviation 0.02251, t = 0.725, effect 0.296.
        assert names(sentence, "25 %", "72 patients")

    def test_one_method_has_no_claim(self):
        assert list(headlines(_data(A__P__c=[0.9, 0.8]).statistics)) == []

    def test_one_patient(self):
        (sentence,) = headlines(_data(A__P__c=[0.9], B__P__c=[0.8]).statistics)
        assert names(sentence, "A")
        assert "%" not in sentence


class TestMargin:
    DATA = _data(
        Margins("Base", {"dice": 0.01}),
        Good__P__c=[0.93, 0.951, 0.939],
        Unsure__P__c=[0.96, 0.86, 0.92],
        Base__P__c=[0.90, 0.92, 0.91],
    )

    def test_one_line_with_every_method(self):
        line = list(headlines(self.DATA.statistics))[-1]
        assert names(line, "Base", "0.01", "better: Good", "undecided: Unsure")

    def test_the_first_line_joins_all_margins(self):
        margins = Margins("Base", {"dice": 0.01, "iou": 0.01})
        both = (Measure("volume", "all", "whole", "dice"), Measure("volume", "all", "whole", "iou"))
        base, good, mixed = [0.90, 0.92, 0.91], [0.93, 0.951, 0.939], [0.93, 0.951, 0.939]
        cases = [
            (f"{name}__P__c", "test", "0", f"c{place}", value)
            for name, values in (("Good", good), ("Mixed", mixed), ("Base", base))
            for place, value in enumerate(values)
        ]
        scores = scores_of(*cases, keys=both)
        # Mixed is better in Dice, and worse in IoU.
        worse = (scores["method"] == "Mixed__P__c") & (scores["metric"] == "iou")
        scores.loc[worse, "value"] -= 0.2
        sentences = list(headlines(analyse_groups(group_scores(scores), margins=margins)))
        passed, _, failed = sentences[0].partition("Not shown")
        assert names(passed, "not worse than Base", "3D Dice 0.01", "3D IoU 0.01", ": Good · P · c.")
        assert names(failed, "Mixed · P · c", "3D IoU: worse")
        assert "3D Dice" not in failed

    def test_no_method_passes(self):
        first = next(
            headlines(_data(Margins("Base", {"dice": 0.001}), A__P__c=[0.7, 0.6], Base__P__c=[0.9, 0.95]).statistics)
        )
        assert names(first, "no method", "A")

    def test_table(self):
        claims, margins = claim_tables(self.DATA)
        assert [row.name for row in claims.rows] == ["3D Dice"]
        assert [row.label.split()[0] for row in margins.rows] == ["Good", "Unsure"]
        assert [str(row.cells[5]) for row in margins.rows] == ["better", "undecided"]
        assert {str(row.cells[0]) for row in margins.rows} == {"3D Dice"}


def test_measurements_have_claims_too():
    data = measured_data(
        *(
            (method, case, femur(volume_ml=300.0), femur(volume_ml=300.0 + error))
            for method, errors in (("A", (1.0, 2.0, 1.5)), ("B", (5.0, 8.0, 6.0)))
            for case, error in zip("xyz", errors, strict=True)
        )
    )
    (table,) = claim_tables(data)
    row = next(row for row in table.rows if "ml" in row.name)
    # Gains of 4, 6 and 4.5 ml: mean 4.83, standard deviation 1.04, t = 8.04 with two degrees of freedom.
    assert row.cells[4].value == pytest.approx(4.833, abs=1e-3)
    assert row.cells[6].value == pytest.approx(0.0076, abs=1e-4)
