"""The study's Tables 1 to 4: means and deviations over slices, and published figures."""

import numpy as np
import pandas as pd
import pytest

from nnunet_femur.comparison.report.published import read_published
from nnunet_femur.comparison.report.report_data import ReportData
from nnunet_femur.comparison.report.tables.study_tables import over_slices, study_tables
from nnunet_femur.comparison.scoring import COLUMNS, Scored
from tests.comparison.made import KEYS, PLANES, data_of


class TestStudy:
    """The study's means and deviations over slices, from what is known of each case."""

    @pytest.fixture
    def sliced(self):
        """Dice of every slice of three cases in three planes, and the table that is made of them."""
        rng = np.random.default_rng(3)
        slices = {(case, plane): rng.uniform(0, 1, rng.integers(1, 9)) for case in "abc" for plane in PLANES}
        rows = []
        for (case, plane), dice in slices.items():
            for metric, value in (("dice", dice.mean()), ("dice_sd", dice.std()), ("slices", dice.size)):
                rows += [
                    ("T__P__c", "test", "0", case, case, protocol, plane, "whole", metric, value, "1")
                    for protocol in ("slices", "paper")
                ]
        return slices, ReportData(Scored(pd.DataFrame(rows, columns=list(COLUMNS))))

    def test_three_planes_in_one_pot(self, sliced):
        slices, data = sliced
        (group,) = data.groups
        everything = np.concatenate(list(slices.values()))
        mean, deviation = over_slices(group.entries[0].of_predictions, ("slices", "pooled", "whole", "dice"))
        assert mean == pytest.approx(everything.mean(), abs=1e-12)
        assert deviation == pytest.approx(everything.std(), abs=1e-12)

    def test_one_plane(self, sliced):
        slices, data = sliced
        (group,) = data.groups
        axial = np.concatenate([dice for (_, plane), dice in slices.items() if plane == "axial"])
        mean, deviation = over_slices(group.entries[0].of_predictions, ("paper", "axial", "whole", "dice"))
        assert (mean, deviation) == pytest.approx((axial.mean(), axial.std()), abs=1e-12)

    def test_a_case_without_slices_adds_nothing(self, sliced):
        _, data = sliced
        scores = data.scored.scores
        first = scores["case"] == "a"
        emptied = scores.copy()
        emptied.loc[first, "value"] = np.where(emptied.loc[first, "metric"] == "slices", 0, np.nan)
        for frame in (emptied, scores[~first]):
            again = ReportData(Scored(frame))
            (group,) = again.groups
            result = over_slices(group.entries[0].of_predictions, ("slices", "pooled", "whole", "dice"))
            assert result == pytest.approx(
                over_slices(data.groups[0].entries[0].of_predictions.drop("a"), ("slices", "pooled", "whole", "dice"))
            )

    def test_published_figures_stand_beside_the_study_s_protocol_alone(self):
        keys = [(protocol, "all", "whole", "dice") for protocol in ("paper", "volume")]
        case = ("FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres", "test", "0", "a", 0.9)
        (table,) = study_tables(data_of(case, keys=keys, published=read_published("paper")))
        assert table.name == "table2_test"
        assert [cell.published for cell in table.rows[0].cells] == ["", "0.957 ± 0.020", ""]
        (plain,) = study_tables(data_of(case, keys=keys))
        assert not plain.has_published

    @pytest.mark.parametrize(("trainer", "published"), [("FemurHeadUnetResNet34", "0.961 ± 0.012"), ("FemurUnetX", "")])
    def test_published_figures_of_femur_ends_are_beside_methods_for_femur_ends(self, trainer, published):
        case = (f"{trainer}Trainer__nnUNetPlans__2d", "test", "0", "a", 0.9)
        keys = [("paper", "all", "ends", "dice"), *KEYS]
        ends = (case[0],) if trainer.startswith("FemurHead") else ()
        data = data_of(case, keys=keys, published=read_published("paper"), ends_only=ends)
        tables = list(study_tables(data))
        table = next(table for table in tables if table.name == "table4_test")
        assert table.rows[0].cells[1].published == published
