"""Second readers in a comparison: scored like methods, shown apart, never compared or ranked; what they may lack."""

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from nnunet_femur import comparison
from nnunet_femur.cli import app
from nnunet_femur.comparison.grouping import Measure
from tests.comparison.conftest import TEST, TRAIN, bone, write
from tests.refusing import names, refused

DICE = Measure("volume", "all", "whole", "dice")
OTHER = "OtherTrainer__nnUNetPlans__3d_fullres"
SCRATCH = "FemurScratchTrainer__nnUNetPlans__3d_fullres"

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def both(tree):
    """Two methods on the test set, with a Dice of 0.75 and 0.5."""
    tree.test(SCRATCH, shift=1)
    tree.test(OTHER, shift=2)
    return tree


def compare(results, **options):
    """Compare without measuring, unless a test is about it."""
    return comparison.compare(results, **{"measurements": False, **options})


def _reader(tree, cases=TEST, *, shift=0, name="second"):
    folder = tree.base / name
    for case in cases:
        write(folder / f"{case}.nrrd", bone(shift))
    return folder


def _of(outcome, measure=DICE):
    (found,) = outcome.statistics
    return found.measures[measure]


class TestShownApart:
    def test_a_reader_is_neither_compared_nor_ranked(self, both):
        reader = _reader(both, shift=-1)
        alone, together = compare(both.results), compare(both.results, raters={"Dr. B": reader})
        (before,), (after,) = alone.statistics, together.statistics
        for measure, one in before.measures.items():
            assert after.measures[measure].pairs == one.pairs
            assert after.measures[measure].ranking == one.ranking
            assert after.measures[measure].claims == one.claims
            assert after.measures[measure].summaries == one.summaries
        assert [summary.entry for summary in _of(together).raters] == ["Dr. B"]
        assert _of(together).raters[0].mean == 0.75
        pd.testing.assert_frame_equal(together.summary(), alone.summary())
        assert repr(together) == repr(alone), "a reader is not a method"

    def test_beside_each_method(self, both):
        outcome = compare(both.results, raters={"Dr. B": _reader(both, shift=-1)})
        beside = {one.method: one for one in _of(outcome).beside_raters}
        assert beside["FemurScratch · 3d_fullres"].gain == pytest.approx(0)
        other = beside["Other · 3d_fullres"]
        assert (other.cases, other.of_method, other.of_rater) == pytest.approx((2, 0.5, 0.75))
        assert other.gain == pytest.approx(-0.25)
        # The method is moved up by one voxel, the reader down by one: two of four voxels agree.
        scores = outcome.reader_scores["Dr. B"].query("metric == 'dice'").groupby("method")["value"].mean()
        assert scores.to_dict() == pytest.approx({SCRATCH: 0.5, OTHER: 0.25})

    def test_tables_and_files(self, both, capsys):
        outcome = compare(both.results, raters={"Dr. B": _reader(both, shift=-1)})
        folder = outcome.report.parent / "tables"
        summary = pd.read_csv(folder / "summary_test.csv")
        assert summary["Method"].tolist()[-1] == "Dr. B, second reader"
        assert summary["3D: Dice"].tolist() == pytest.approx([0.75, 0.5, 0.75])
        assert "**0.750" in (folder / "summary_test.md").read_text()
        lines = (folder / "summary_test.md").read_text().splitlines()
        assert lines[-1].startswith("| *Dr. B, second reader* | 2 | 0.750")
        tex = (folder / "summary_test.tex").read_text()
        assert tex.index(r"\midrule", tex.index("Other")) < tex.index("Dr. B")
        beside = pd.read_csv(folder / "reader_dr._b_test.csv").set_index("Method")
        assert float(beside.loc["Other · 3d_fullres", "3D Dice: gain"]) == pytest.approx(-0.25)
        assert float(beside.loc["Other · 3d_fullres", "3D Dice: against Dr. B"]) == pytest.approx(0.25)
        html = outcome.report.read_text()
        assert html.index("Second reader") < html.index("Tables of the study")
        outcome.print()
        assert "Dr. B, second reader" in capsys.readouterr().out

    def test_the_best_reader_is_not_the_best_method(self, both):
        outcome = compare(both.results, raters={"Dr. B": _reader(both)})
        lines = (outcome.report.parent / "tables" / "summary_test.md").read_text().splitlines()
        assert "**" in lines[2]
        assert "**" not in lines[-1]
        claims = _of(outcome).claims
        assert {claim.first for claim in claims} == {"FemurScratch · 3d_fullres"}

    def test_headline(self, both):
        outcome = compare(both.results, raters={"Dr. B": _reader(both, shift=-1)})
        (sentence,) = (one for one in outcome.headlines if "Dr. B" in one)
        assert names(sentence, "0.750", "2 cases", "FemurScratch")

    def test_scores_csv_names_the_reader(self, both):
        outcome = compare(both.results, raters={"Dr. B": _reader(both, shift=-1)})
        rows = outcome.scores.query("method == 'Dr. B' and protocol == 'volume' and metric == 'dice'")
        assert rows.query("region == 'whole'")["value"].tolist() == [0.75, 0.75]

    def test_several_readers(self, both):
        raters = {"B": _reader(both, shift=1, name="b"), "C": _reader(both, shift=3, name="c")}
        outcome = compare(both.results, raters=raters)
        assert {one.entry: one.mean for one in _of(outcome).raters} == {"B": 0.75, "C": 0.25}
        assert len(_of(outcome).beside_raters) == 4


class TestCases:
    def test_lacking_cases_are_counted(self, both):
        outcome = compare(both.results, raters={"B": _reader(both, TEST[:1], shift=1)})
        assert outcome.complete
        (note,) = (one for one in outcome.notes if one.startswith("B"))
        assert names(note, "1 of 2", TEST[1])
        assert {one.cases for one in _of(outcome).beside_raters} == {1}
        assert [summary.n for summary in _of(outcome).summaries] == [2, 2]

    def test_masks_of_other_cases_are_ignored(self, both):
        outcome = compare(both.results, raters={"B": _reader(both, (*TEST, "stranger"), shift=1)})
        assert _of(outcome).raters[0].n == 2
        assert outcome.warnings == []

    def test_every_set_has_the_cases_of_the_methods(self, tree):
        for fold in (0, 1, 2, 3, 4, 5):
            tree.validate(SCRATCH, fold, shift=1)
        tree.test(SCRATCH, "fold_0/test", shift=1)
        outcome = compare(tree.results, raters={"B": _reader(tree, (*TRAIN, *TEST), shift=2)})
        found = {one.group.title: one.measures[DICE].raters[0] for one in outcome.statistics}
        assert {title: one.n for title, one in found.items()} == {
            "Test set": 2, "Cross-validation": 5, "Fixed split": 2,
        }  # fmt: skip
        assert {one.mean for one in found.values()} == {0.5}

    def test_one_leg_of_a_patient(self, both):
        # Both test cases are of one patient; the method's other leg must not count.
        (both.raw / "cases.csv").write_text("case,patient\nL6,p\nR7,p\n")
        write(both.method(SCRATCH) / "test" / "R7.nrrd", bone(3))
        outcome = compare(both.results, raters={"B": _reader(both, ("L6",), shift=2)})
        beside = {one.method: one for one in _of(outcome).beside_raters}["FemurScratch · 3d_fullres"]
        assert (beside.cases, beside.patients, beside.of_method) == pytest.approx((1, 1, 0.75))

    def test_a_bad_mask_of_a_reader_costs_no_method_its_case(self, both):
        reader = _reader(both, shift=1)
        (reader / "L6.nrrd").write_bytes(b"nonsense")
        outcome = compare(both.results, raters={"B": reader}, intersect=True)
        assert [(one.method, one.case) for one in outcome.unscored] == [("B", "L6")]
        assert [summary.n for summary in _of(outcome).summaries] == [2, 2]

    def test_the_reference_as_reader_is_reported(self, both):
        outcome = compare(both.results, raters={"B": both.raw / "labelsTs"})
        (warning,) = outcome.warnings
        assert names(warning, "B", "--rater")

    def test_another_grid(self, both):
        reader = _reader(both, shift=1)
        image = sitk.ReadImage(str(reader / "L6.nrrd"))
        image.SetOrigin((50.0, 0.0, 0.0))
        sitk.WriteImage(image, str(reader / "L6.nrrd"))
        outcome = compare(both.results, raters={"B": reader})
        assert [(one.method, one.case) for one in outcome.unscored] == [("B", "L6")]
        assert set(outcome.reader_scores["B"]["case"]) == {"R7"}


class TestMargins:
    def test_not_worse_than_the_reader(self, both):
        outcome = compare(both.results, raters={"B": _reader(both, shift=1)}, against="B", margin=0.1)
        verdicts = {one.method: one.verdict for one in _of(outcome).margins}
        # Equal gains: no difference at all, and 0.25 below.
        assert verdicts == {"FemurScratch · 3d_fullres": "equivalent", "Other · 3d_fullres": "worse"}
        assert names(outcome.headlines[0], "not worse than B", "FemurScratch", "Other · 3d_fullres (3D Dice: worse)")


class TestMeasured:
    def test_errors_of_a_reader(self, both, monkeypatch):
        from tests.comparison.made import by_box

        monkeypatch.setattr("nnunet_femur.comparison.clinical.measured_masks.default_engine", lambda: by_box)
        outcome = compare(both.results, raters={"B": _reader(both, shift=-1)}, measurements=True)
        table = pd.read_csv(outcome.report.parent / "tables" / "clinical_errors_test.csv")
        assert table["Method"].tolist()[-1] == "B, second reader"
        assert table.filter(like="Head centre").iloc[:, 0].tolist() == pytest.approx([5, 10, 5])
        (found,) = outcome.endpoints
        ranked = found.endpoints["head_center_mm"].statistics.ranking.ranks
        assert "B" not in {rank.entry for rank in ranked}


class TestRefused:
    @pytest.mark.parametrize("name", ["", "a/b", SCRATCH])
    def test_names(self, both, name):
        with refused("invalid-option", "--rater"):
            compare(both.results, raters={name: _reader(both)})

    def test_folders(self, both):
        with refused("not-found", "nowhere"):
            compare(both.results, raters={"B": both.base / "nowhere"})
        with refused("no-predictions", "B"):
            compare(both.results, raters={"B": _reader(both, ("stranger",))})

    def test_several_datasets(self, both):
        from shutil import copytree

        copytree(both.results / both.dataset, both.results / "Dataset002_Femur")
        copytree(both.raw, both.raw.parent / "Dataset002_Femur")
        with refused("invalid-option", "--rater"):
            compare(both.results, raters={"B": _reader(both)})

    @pytest.mark.parametrize("option", [("--rater", "B"), ("--rater", "=x"), ("--rater", "B=x", "--rater", "B=y")])
    def test_options(self, both, option):
        result = CliRunner().invoke(app, ["compare", str(both.results), *option])
        assert result.exit_code == 2
        assert "--rater" in result.output


def test_the_command(both):
    reader = _reader(both, shift=-1)
    result = CliRunner().invoke(app, ["compare", str(both.results), "--rater", f"Dr. B={reader}", "--no-measurements"])
    assert result.exit_code == 0, result.output
    assert "Dr. B, second reader" in result.output


def test_an_empty_mask_of_a_reader(both):
    reader = _reader(both, shift=1)
    write(reader / "L6.nrrd", np.zeros_like(bone()))
    assert _of(compare(both.results, raters={"B": reader})).raters[0].mean == pytest.approx((0 + 0.75) / 2)
