"""The whole comparison: scores, completeness, report and what is refused."""

import base64
import io
import re
import subprocess
import sys

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_femur.comparison import compare
from nnunet_femur.errors import InputError

UNET = "FemurUnetTrainer__nnUNetPlans__3d_fullres"
SCRATCH = "FemurScratchTrainer__nnUNetPlans__3d_fullres"
BASELINE = "TotalSegmentator__total__1.5mm"


def _dice(scores: pd.DataFrame, **where: str) -> pd.Series:
    rows = scores[(scores["protocol"] == "volume") & (scores["metric"] == "dice")]
    for column, value in where.items():
        rows = rows[rows[column] == value]
    return rows.set_index("case")["value"]


def _row(outcome, title: str, label: str):
    (table,) = (table for table in outcome.tables if table.title == title)
    (row,) = (row for row in table.rows if row.label == label)
    return row


class TestScores:
    def test_scores_csv(self, tree):
        tree.test(SCRATCH, shift=1)
        outcome = compare(tree.results)
        written = pd.read_csv(outcome.report.parent / "scores.csv", dtype={"unit": str})
        assert ",".join(written.columns) == "method,set,fold,case,patient,protocol,plane,region,metric,value,unit"
        pd.testing.assert_frame_equal(written, outcome.scores)
        assert _dice(written, case="L6", patient="patient6", set="test", fold="none", region="whole").item() == 0.75
        ml = written[(written["case"] == "L6") & (written["metric"] == "truth_volume")]
        assert ml["value"].item() == pytest.approx(64 * 0.02)
        assert ml["unit"].item() == "ml"

    def test_slices_count_the_missed_and_the_false(self, tree):
        tree.test(SCRATCH, shift=1)
        scores = compare(tree.results).scores
        axial = scores[(scores["case"] == "L6") & (scores["plane"] == "axial")].set_index("metric")["value"]
        assert axial["slices"] == 5
        assert axial["dice"] == pytest.approx(3 / 5)
        assert axial["vs"] == pytest.approx((0 + 3 * 1 + 2) / 5)

    def test_fold_5_counts_apart_from_cross_validation(self, tree):
        for fold in range(5):
            tree.validate(SCRATCH, fold)
        tree.validate(SCRATCH, 5, shift=1)
        outcome = compare(tree.results)
        crossed = _row(outcome, "Cross-validation", "FemurScratch · 3d_fullres, folds 0–4")
        assert (crossed.cases, str(crossed.cells[0])) == (5, "1.000 ± 0.000")
        fixed = _row(outcome, "Fixed split", "FemurScratch · 3d_fullres")
        assert (fixed.cases, str(fixed.cells[0])) == (2, "0.750 ± 0.000")

    def test_folds_and_ensemble_are_not_mixed(self, tree):
        tree.test(SCRATCH, "fold_0/test", shift=1)
        tree.test(SCRATCH)
        outcome = compare(tree.results)
        assert _row(outcome, "Test set", "FemurScratch · 3d_fullres, fold 0").cells[0].mean == 0.75
        assert _row(outcome, "Test set", "FemurScratch · 3d_fullres, ensemble").cells[0].best

    def test_a_prediction_stored_in_another_order_is_perfect(self, tree):
        path = tree.test(SCRATCH) / "L6.nrrd"
        sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), "SAR"), str(path))
        assert _dice(compare(tree.results).scores, case="L6").item() == 1

    def test_the_same_at_every_run(self, tree):
        tree.test(SCRATCH, shift=1)
        tree.test(BASELINE)
        folder = compare(tree.results).report.parent
        first = {path: path.read_bytes() for path in folder.rglob("*.*")}
        compare(tree.results)
        assert {path: path.read_bytes() for path in folder.rglob("*.*")} == first


class TestCompleteness:
    def test_complete(self, tree):
        tree.test(SCRATCH)
        outcome = compare(tree.results)
        assert outcome.complete
        assert outcome.warnings == []
        assert "Every prediction that was expected is there" in outcome.report.read_text()

    def test_missing_predictions_are_named_everywhere(self, tree, capsys):
        (tree.test(SCRATCH) / "R7.nrrd").unlink()
        outcome = compare(tree.results)
        outcome.print()
        assert not outcome.complete
        said = f"{SCRATCH}, test set: 1 of 2 predictions missing: R7."
        assert outcome.warnings == [said]
        for text in (
            outcome.report.read_text(),
            outcome.report.with_suffix(".md").read_text(),
            capsys.readouterr().out,
        ):
            assert said in text
        first_section = outcome.report.read_text().partition("<h2>")[0]
        assert "Incomplete" in first_section
        assert said in first_section

    def test_extra_predictions_and_notes_do_not_make_it_incomplete(self, tree):
        tree.predict(SCRATCH, "fold_0/test", ("L6", "R7", "stranger"))
        outcome = compare(tree.results)
        assert outcome.complete
        assert len(outcome.warnings) == 1
        assert outcome.notes

    def test_printed_table(self, tree, capsys):
        tree.test(SCRATCH, shift=1)
        compare(tree.results).print()
        printed = capsys.readouterr().out
        assert "FemurScratch · 3d_fullres" in printed
        assert "0.750 ± 0.000" in printed


class TestReport:
    @pytest.fixture
    def outcome(self, tree):
        tree.test(UNET, shift=2)
        tree.test(SCRATCH, shift=1)
        return compare(tree.results, output=tree.base / "report")

    def test_html_needs_nothing_beside_it(self, outcome):
        html = outcome.report.read_text()
        references = re.findall(r'(?:src|href|data)="([^"]*)"', html) + re.findall(r"url\(([^)]*)\)", html)
        assert references
        assert all(reference.startswith("data:") for reference in references)
        assert "://" not in html
        assert "<script" not in html

    def test_every_image_is_whole(self, outcome):
        images = re.findall(r'src="data:image/png;base64,([^"]*)"', outcome.report.read_text())
        assert len(images) == 3  # The box plot, and one of slices for each method.
        for image in images:
            pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(image)))
            assert min(pixels.shape[:2]) > 200

    def test_what_the_reader_is_told(self, outcome):
        for text in (outcome.report.read_text(), outcome.report.with_suffix(".md").read_text()):
            assert "1 − (Vgt − Vpred) / (Vgt + Vpred)" in text
            assert "standard deviation over the n cases" in text
            assert "Only the prediction empty (a miss): Dice 0, IoU 0, VS 0." in text
            assert "Scores set by the policy for empty masks: 0 of 4 volumes, 12 of 54 slices" in text
            assert "Dataset001_Femur" in text

    def test_markdown_table(self, outcome):
        markdown = outcome.report.with_suffix(".md").read_text()
        assert "| FemurScratch · 3d_fullres | 2 | **0.750 ± 0.000** |" in markdown
        for name in re.findall(r"\(<figures/([^>]*)>\)", markdown):
            assert (outcome.report.parent / "figures" / name).is_file()

    def test_figures_are_png_and_svg(self, outcome):
        stems = ("dice", f"slices_{SCRATCH}", f"slices_{UNET}")
        names = {path.name for path in (outcome.report.parent / "figures").iterdir()}
        assert names == {f"{stem}.{ending}" for stem in stems for ending in ("png", "svg")}

    def test_names_are_escaped(self, tree):
        tree.test("A<b>__nnUNetPlans__2d")
        assert "A<b>" not in compare(tree.results).report.read_text()

    def test_without_ct_and_without_any_slice(self, tree):
        for path in [*tree.raw.glob("imagesTs/*")]:
            path.unlink()
        tree.test(SCRATCH)
        for folder in (tree.raw / "labelsTs", tree.test(BASELINE)):
            for path in folder.iterdir():
                image = sitk.ReadImage(str(path)) * 0
                sitk.WriteImage(image, str(path))
        outcome = compare(tree.results)
        assert {path.name for path in (outcome.report.parent / "figures").glob("*.png")} == {
            "dice.png",
            f"slices_{SCRATCH}.png",
        }
        assert _dice(outcome.scores, method=BASELINE).tolist() == [1, 1]
        assert _dice(outcome.scores, method=SCRATCH).tolist() == [0, 0]

    def test_training_minutes(self, tree):
        tree.test(SCRATCH, "fold_0/test")
        (tree.method(SCRATCH) / "fold_0" / "run.json").write_text('{"seconds": 90}')
        outcome = compare(tree.results)
        assert outcome.tables[0].rows[0].minutes == 1.5
        assert "<th>Training</th>" in outcome.report.read_text()


class TestRefused:
    """Nothing is written where anything cannot be scored."""

    def _refused(self, tree, match):
        with pytest.raises(InputError, match=match) as error:
            compare(tree.results)
        assert not (tree.results / "comparison").exists()
        return str(error.value)

    def test_another_grid(self, tree):
        path = tree.test(SCRATCH) / "L6.nrrd"
        image = sitk.ReadImage(str(path))
        image.SetOrigin((3.0, 0.0, 0.0))
        sitk.WriteImage(image, str(path))
        message = self._refused(tree, "origin")
        assert str(path) in message
        assert str(tree.raw / "labelsTs" / "L6.nrrd") in message

    @pytest.mark.parametrize("side", ["truth", "prediction"])
    @pytest.mark.parametrize("value", [2, 0.5])
    def test_other_labels(self, tree, side, value):
        folder = tree.test(SCRATCH)
        path = (tree.raw / "labelsTs" if side == "truth" else folder) / "R7.nrrd"
        image = sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkFloat32) * value
        sitk.WriteImage(image, str(path))
        assert str(path) in self._refused(tree, f"holds {value}")

    def test_truncated(self, tree):
        path = tree.test(SCRATCH) / "R7.nrrd"
        path.write_bytes(path.read_bytes()[:-200])
        assert str(path) in self._refused(tree, "truncated")

    def test_a_report_folder_that_cannot_be_made(self, tree):
        tree.test(SCRATCH)
        occupied = tree.base / "file"
        occupied.write_text("")
        with pytest.raises(InputError, match=r"file: cannot be written .*--output"):
            compare(tree.results, output=occupied)


def test_best_and_worst_slice(tree):
    from nnunet_femur.comparison.discovery import discover
    from nnunet_femur.comparison.scoring import score

    path = tree.test(SCRATCH) / "L6.nrrd"
    voxels = np.zeros((10, 11, 12), np.uint8)
    voxels[2, 3:7, 4:8] = 1  # Right.
    voxels[3, 3:7, 4:6] = 1  # Half of it.
    voxels[8, 0:8, 0:8] = 1  # A false find larger than the two missed slices 4 and 5.
    image = sitk.GetImageFromArray(voxels)
    image.CopyInformation(sitk.ReadImage(str(path)))
    sitk.WriteImage(image, str(path))
    scored = score(discover(tree.results).predictions)
    assert [(one.index, one.dice, one.size) for one in scored.best if one.case == "L6"] == [(2, 1.0, 16)]
    assert [(one.index, one.dice, one.size) for one in scored.worst if one.case == "L6"] == [(8, 0.0, 64)]


def test_slices_are_drawn_in_radiological_convention():
    from matplotlib.figure import Figure

    from nnunet_femur.comparison.slices import _frame

    axes = Figure().subplots()
    bone = np.zeros((50, 60), dtype=bool)
    bone[10:20, 30:40] = True
    _frame(axes, bone, np.arange(60) * 2.0, np.arange(50) * 2.0)
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    assert left > right  # x leads to the patient's right, which is shown on the left.
    assert top > bottom  # y leads to anterior.
    assert left - right == top - bottom == 80
    assert axes.get_aspect() == 1


def test_neither_torch_nor_nnunet_is_imported(tree):
    tree.test(SCRATCH)
    code = (
        "import sys; from pathlib import Path; from nnunet_femur.comparison import compare; "
        f"compare(Path({str(tree.results)!r})); "
        "sys.exit(any(name.partition('.')[0] in {'torch', 'nnunetv2'} for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
