"""Comparisons with measurements, by a function in place of the measuring engine: files, report, and options."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.comparison import compare
from nnunet_femur.comparison.clinical.measurement_cache import CACHE_FILE
from tests.comparison.conftest import bone, ct_of, write
from tests.comparison.made import by_box
from tests.refusing import refused

SCRATCH = "FemurScratchTrainer__nnUNetPlans__3d_fullres"
BASELINE = "TotalSegmentator__total__1.5mm"

pytestmark = pytest.mark.usefixtures("undrawn", "by_boxes")


@pytest.fixture
def by_boxes(monkeypatch):
    monkeypatch.setattr("nnunet_femur.comparison.clinical.measured_masks.default_engine", lambda: by_box)


class TestFiles:
    def test_errors_in_scores_csv_and_values_in_measurements_csv(self, tree):
        tree.test(SCRATCH, shift=1)
        hu = ct_of(bone())
        write(tree.raw / "imagesTs" / "L6_0000.nrrd", hu)
        outcome = compare(tree.results, measurements=True)
        folder = outcome.report.parent
        scores = pd.read_csv(folder / "scores.csv", dtype={"unit": str})
        assert ",".join(scores.columns) == "method,set,fold,case,patient,protocol,plane,region,metric,value,unit"
        errors = scores[(scores["protocol"] == "measurements") & (scores["case"] == "L6")].set_index("metric")
        assert errors.loc["head_center_mm", ["plane", "region", "value", "unit"]].tolist() == [
            "all",
            "whole",
            5.0,
            "mm",
        ]
        assert errors.loc["hu_mean", "value"] == pytest.approx(hu[bone(1) > 0].mean() - hu[bone() > 0].mean())
        assert pd.isna(errors.loc["mldfa_deg", "value"])
        values = pd.read_csv(
            folder / "measurements.csv", dtype={"unit": str}, keep_default_na=False, na_values={"error": [""]}
        )
        row = values[(values["case"] == "L6") & (values["measurement"] == "volume_ml")].iloc[0]
        assert (float(row["reference"]), float(row["prediction"]), row["error"]) == pytest.approx((1.28, 1.28, 0))
        lacking = values[values["measurement"] == "mldfa_deg"].iloc[0]
        assert (lacking["reference_missing"], lacking["prediction_missing"]) == ("distal-end-missing",) * 2
        pd.testing.assert_frame_equal(outcome.measurements[["measurement", "error"]], values[["measurement", "error"]])

    def test_report_has_the_section_and_its_tables(self, tree, capsys):
        tree.test(SCRATCH, shift=1)
        tree.test(BASELINE)
        outcome = compare(tree.results, measurements=True)
        outcome.print()
        assert "clinical measurements, mean absolute error" in capsys.readouterr().out
        for ending in ("md", "html"):
            assert "Clinical measurements" in outcome.report.with_suffix(f".{ending}").read_text()
        assert {"clinical_test.csv", "clinical_errors_test.md", "clinical_missing.json"} <= {
            path.name for path in (outcome.report.parent / "tables").iterdir()
        }
        (found,) = outcome.endpoints
        means = {one.entry: one.mean for one in found.endpoints["head_center_mm"].statistics.summaries}
        assert means == {"FemurScratch · 3d_fullres": 5, "TotalSegmentator · total · 1.5mm": 0}

    def test_both_legs_are_reported_by_side(self, tree):
        legs = bone()
        legs[1:8, 3:7, 0:3] = legs[1:8, 3:7, 8:12] = 1
        legs[:, :, 4:8] = 0
        moved = legs.copy()
        moved[:, :, 8:12] = 0
        moved[2:9, 3:7, 8:12] = 1
        write(tree.raw / "labelsTs" / "L6.nrrd", legs)
        write(tree.test(SCRATCH) / "L6.nrrd", moved)
        scores = compare(tree.results, measurements=True).scores
        heads = scores[(scores["metric"] == "head_center_mm") & (scores["case"] == "L6")]
        # x increases to the left: the higher columns are the left femur, which is moved by a slice of 5 mm.
        assert dict(zip(heads["region"], heads["value"], strict=True)) == {"left": 5.0, "right": 0.0}


class TestOptions:
    def test_not_measured_if_not_wanted_and_outdated_files_are_deleted(self, tree):
        tree.test(SCRATCH)
        folder = compare(tree.results, measurements=True).report.parent
        assert (folder / "measurements.csv").is_file()
        outcome = compare(tree.results, measurements=False)
        assert not (folder / "measurements.csv").exists()
        assert not list(folder.glob("tables/clinical*"))
        assert (outcome.measurements, outcome.endpoints) == (None, ())
        assert "measurements" not in set(outcome.scores["protocol"])
        # The measurements are kept, should they be wanted again.
        assert (folder / CACHE_FILE).is_file()

    def test_a_file_of_the_user_is_not_deleted(self, tree):
        tree.test(SCRATCH)
        folder = tree.results / "comparison"
        folder.mkdir()
        (folder / "measurements.csv").write_text("mine")
        compare(tree.results, measurements=False)
        assert (folder / "measurements.csv").read_text() == "mine"

    def test_the_second_run_measures_nothing(self, tree, monkeypatch):
        tree.test(SCRATCH, shift=1)
        first = compare(tree.results, measurements=True)
        files = {path: path.read_bytes() for path in first.report.parent.rglob("*.*")}

        def unexpected():
            raise AssertionError

        monkeypatch.setattr("nnunet_femur.comparison.clinical.measured_masks.default_engine", unexpected)
        compare(tree.results, measurements=True)
        assert {path: path.read_bytes() for path in first.report.parent.rglob("*.*")} == files

    def test_jobs_must_be_positive(self, tree):
        tree.test(SCRATCH)
        with refused("invalid-option", "jobs", "0"):
            compare(tree.results, measurements=True, jobs=0)

    @pytest.mark.parametrize(("option", "measured"), [("--measurements", True), ("--no-measurements", False)])
    def test_command(self, tree, option, measured):
        tree.test(SCRATCH)
        result = CliRunner().invoke(app, ["compare", str(tree.results), option, "--jobs", "1"])
        assert result.exit_code == 0, result.output
        assert (tree.results / "comparison" / "measurements.csv").exists() == measured
