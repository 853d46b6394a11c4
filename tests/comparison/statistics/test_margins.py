"""Margins: their names and values, and the method that they refer to."""

import pandas as pd
import pytest

from nnunet_femur.comparison.clinical.endpoints import PROTOCOL
from nnunet_femur.comparison.grouping import Measure, group_scores
from nnunet_femur.comparison.statistics.analysis import analyse_groups
from nnunet_femur.comparison.statistics.margins import Margins, parse_margins
from tests.comparison.made import scores_of
from tests.refusing import refused

DICE = Measure("volume", "all", "whole", "dice")
KEYS = (DICE, Measure("volume", "all", "whole", "hd95"), Measure("slices", "axial", "whole", "dice"))


def _groups(**methods: list[float]):
    cases = [
        (name, "test", "0", f"c{place}", value)
        for name, values in methods.items()
        for place, value in enumerate(values)
    ]
    return group_scores(scores_of(*cases, keys=KEYS))


class TestMargins:
    def test_of_a_measure(self):
        margins = Margins("A", {"dice": 0.01, "mldfa_deg": 2.0})
        assert margins.of_measure(DICE) == 0.01
        assert margins.of_measure(Measure(PROTOCOL, "absolute", "whole", "mldfa_deg")) == 2.0
        assert margins.of_measure(Measure("slices", "axial", "whole", "dice")) is None
        assert margins.of_measure(Measure("volume", "all", "ends", "dice")) is None
        assert margins.of_measure(KEYS[1]) is None

    @pytest.mark.parametrize(
        "by_name",
        [{}, {"dise": 0.01}, {"recall": 0.01}, {"dice": "0.01"}, {"dice": 0.0}, {"dice": -1.0}, {"dice": float("nan")}],
    )
    def test_refuses(self, by_name):
        with refused("invalid-option"):
            Margins("A", by_name)

    def test_parse(self):
        assert parse_margins(["0.02", "hd95=1.5"]) == {"dice": 0.02, "hd95": 1.5}
        with refused("invalid-option", "hd95=wide"):
            parse_margins(["hd95=wide"])


class TestMethod:
    def test_a_part_of_its_name(self):
        (group,) = _groups(TotalSegmentator__total=[0.9], FemurScratchTrainer__P__c=[0.8])
        assert Margins("totalseg", {"dice": 0.01}).entry_of(group).method == "TotalSegmentator__total"
        assert Margins("nobody", {"dice": 0.01}).entry_of(group) is None

    def test_the_whole_name_is_preferred(self):
        (group,) = _groups(A__P__c=[0.9], A__P__cc=[0.8])
        assert Margins("A__P__c", {"dice": 0.01}).entry_of(group).method == "A__P__c"
        with refused("invalid-option", "A__"):
            Margins("A__", {"dice": 0.01}).entry_of(group)

    def test_the_beginning_of_a_name_is_preferred(self):
        names = ("TotalSegmentator__total__1.5mm", "FemurFinetuneTrainer__TotalSegmentatorPlans__3d_fullres")
        margins = Margins("TotalSegmentator", {"dice": 0.01})
        margins.require_among(names)
        (group,) = _groups(**{name: [0.9] for name in names})
        assert margins.entry_of(group).method == names[0]

    def test_must_exist(self):
        methods = ["A__P__c", "B__P__c"]
        Margins("B", {"dice": 0.01}).require_among(methods)
        with refused("invalid-option", "TotalSegmentator"):
            Margins("TotalSegmentator", {"dice": 0.01}).require_among(methods)

    def test_one_in_each_dataset(self):
        methods = ["D1/A__P__c", "D2/A__P__c", "D2/B__P__c"]
        Margins("A", {"dice": 0.01}).require_among(methods)
        Margins("B", {"dice": 0.01}).require_among(methods)
        with refused("invalid-option", "A · P", "B · P"):
            Margins("__P__", {"dice": 0.01}).require_among(methods)


class TestAnalysis:
    def test_all_others_are_compared_with_it(self):
        base = [0.90, 0.92, 0.91, 0.93]
        groups = _groups(
            Good__P__c=[value + shift for value, shift in zip(base, (0.03, 0.031, 0.029, 0.03), strict=True)],
            Same__P__c=[value + shift for value, shift in zip(base, (0.001, -0.001, 0.0, 0.0), strict=True)],
            Bad__P__c=[value - shift for value, shift in zip(base, (0.03, 0.031, 0.029, 0.03), strict=True)],
            Base__P__c=base,
        )
        (one,) = analyse_groups(groups, margins=Margins("Base", {"dice": 0.01}))
        found = {test.method.split(" ")[0]: test.verdict for test in one.measures[DICE].margins}
        assert found == {"Good": "better", "Same": "equivalent", "Bad": "worse"}
        assert one.measures[KEYS[1]].margins == ()

    def test_claims_of_the_best_method(self):
        groups = _groups(A__P__c=[0.95, 0.94, 0.96], B__P__c=[0.94, 0.92, 0.93], C__P__c=[0.80, 0.81, 0.79])
        (one,) = analyse_groups(groups)
        claims = one.measures[DICE].claims
        assert {claim.first[0] for claim in claims} == {"A"}
        by_rival = {claim.second[0]: claim for claim in claims}
        assert by_rival["B"].false == pytest.approx(0.0371, abs=1e-4)
        assert by_rival["C"].false < by_rival["B"].false

    def test_patients_that_a_method_lacks_count_for_none(self):
        scores = scores_of(
            *(("A__P__c", "test", "0", case, value) for case, value in (("x", 0.9), ("y", 0.8), ("z", 0.1))),
            *(("B__P__c", "test", "0", case, value) for case, value in (("x", 0.8), ("y", 0.7))),
            keys=(DICE,),
        )
        (one,) = analyse_groups(group_scores(pd.DataFrame(scores)))
        (claim,) = one.measures[DICE].claims
        assert (claim.first[0], claim.n, claim.gain) == ("A", 2, pytest.approx(0.1))
