"""Published figures: completeness, and their assignment to methods."""

import pytest

from nnunet_femur.comparison.report.published import read_published
from tests.refusing import refused


class TestPublishedFigures:
    def test_every_row_of_the_study_has_a_method(self):
        published = read_published("paper")
        rows = {row for table in published.tables.values() for row in table}
        assert rows == set(published.methods.values())
        assert [len(table) for table in published.tables.values()] == [8, 8, 6, 6]

    @pytest.mark.parametrize(
        ("table", "method", "score", "figure"),
        [
            ("2d_whole", "FemurUnetPlusPlusDeepLabV3Trainer__nnUNetPlans__2d", "dice", "0.952 ± 0.095"),
            ("3d_whole", "Dataset001_A/TotalSegmentator__total__1.5mm", "vs", "1.036 ± 0.013"),
            ("2d_whole", "FemurFinetuneTrainer__a__3d_fullres", "minutes", "200"),
            ("3d_whole", "TotalSegmentator__total__3mm", "vs", ""),
            ("2d_whole", "nnUNetTrainer__nnUNetPlans__2d", "dice", ""),
        ],
    )
    def test_figures(self, table, method, score, figure):
        assert read_published("paper").figure(table, method, score) == figure

    def test_an_unknown_publication(self):
        with refused("invalid-option", "nature", "paper"):
            read_published("nature")
