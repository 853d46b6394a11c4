"""Figures: orientation of slices, choice of slices and cases, and reuse of the figures of an earlier report."""

import io
import subprocess
import sys
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
import SimpleITK as sitk
from matplotlib.figure import Figure

from nnunet_femur.comparison.clinical.measuring_predictions import measure_predictions
from nnunet_femur.comparison.discovery import discover
from nnunet_femur.comparison.grouping import group_scores
from nnunet_femur.comparison.report import figures
from nnunet_femur.comparison.report.drawing import PREDICTION, REFERENCE, style
from nnunet_femur.comparison.report.figure_cache import (
    INDEX,
    figure_files,
    figure_provenance,
    index_of,
    read_figures,
)
from nnunet_femur.comparison.report.figures import FIGURES, draw_all
from nnunet_femur.comparison.report.figures.box_plots import draw_boxes
from nnunet_femur.comparison.report.figures.curve_plots import draw_training_curves
from nnunet_femur.comparison.report.figures.extreme_slices import draw_extreme_slices
from nnunet_femur.comparison.report.figures.gallery import draw_gallery, draw_planes
from nnunet_femur.comparison.report.figures.method_grid import draw_method_grid
from nnunet_femur.comparison.report.figures.reliability_plots import draw_reliability
from nnunet_femur.comparison.report.figures.slice_images import SliceReader, SliceView
from nnunet_femur.comparison.report.figures.slice_panels import choose_example, draw_slice, frame_mm
from nnunet_femur.comparison.report.report_data import ReportData
from nnunet_femur.comparison.scoring import score_predictions
from nnunet_femur.comparison.statistics.analysis import analyse_groups
from nnunet_femur.comparison.statistics.endpoint_statistics import analyse_endpoints
from nnunet_femur.evaluation import Scoring
from tests.comparison.made import by_box, data_of

UNET = "FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres"
SCRATCH = "FemurScratchTrainer__nnUNetPlans__3d_fullres"


def _data(tree) -> ReportData:
    found = discover(tree.results)
    scored = score_predictions(found.predictions)
    measured = measure_predictions(found.predictions, scoring=Scoring(), engine=_with_angle)
    statistics = analyse_groups(group_scores(scored.scores))
    endpoints = analyse_endpoints([one.group for one in statistics], measured)
    return ReportData(scored, found.predictions, statistics, endpoints=endpoints, measurements=measured)


def _with_angle(mask_zyx, geometry, *, case="femur", side="unknown"):
    """Measure a mask in place of the engine; the neck-shaft angle is the height of its centre."""
    found = by_box(mask_zyx, geometry, case=case, side=side)
    missing = {key: reason for key, reason in found.missing.items() if key != "neck_shaft_angle_deg"}
    values = {**found.values, "neck_shaft_angle_deg": found.values["head_center_mm_lps"][2]}
    return replace(found, values=values, missing=missing)


class TestSliceImages:
    """A block at one corner of the patient is in the right corner of every image."""

    @pytest.fixture(params=["LPS", "RAS", "SAR", "PIL"])
    def predictions(self, tree, request):
        # In LPS, z, y, x: superior, anterior (low y) and right (low x), with a CT that is bright there.
        voxels = np.zeros((10, 11, 12), np.uint8)
        voxels[7:9, 1:3, 2:4] = 1
        for path, scale in (
            (tree.raw / "labelsTs" / "L6.nrrd", 1),
            (tree.raw / "imagesTs" / "L6_0000.nrrd", 900),
            (tree.test(SCRATCH) / "L6.nrrd", 1),
        ):
            image = sitk.GetImageFromArray(voxels.astype(np.int16) * scale if scale > 1 else voxels)
            image.SetSpacing((2.0, 3.0, 5.0))
            # The prediction stays in LPS, whatever the others are stored in.
            order = "LPS" if path.parent.name == "test" else request.param
            sitk.WriteImage(sitk.DICOMOrient(image, order), str(path))
        return next(one for one in discover(tree.results).predictions if "L6" in one.files)

    @pytest.mark.parametrize(
        ("plane", "index", "rows", "columns", "step", "sides"),
        [
            ("axial", 7, slice(8, 10), slice(2, 4), (3.0, 2.0), "APRL"),
            ("coronal", 9, slice(7, 9), slice(2, 4), (5.0, 2.0), "SIRL"),
            ("sagittal", 9, slice(7, 9), slice(1, 3), (5.0, 3.0), "SIAP"),
        ],
    )
    def test_right_and_anterior_are_on_the_left(self, predictions, plane, index, rows, columns, step, sides):
        view = SliceView(predictions, "L6", index, plane)
        image = SliceReader().read([view])[view.key]
        expected = np.zeros_like(image.reference)
        expected[rows, columns] = True  # Rows run from the bottom to the top.
        np.testing.assert_array_equal(image.reference, expected)
        np.testing.assert_array_equal(image.prediction, expected)
        np.testing.assert_array_equal(image.ct, expected * 900)
        assert (image.spacing_mm, image.edge_letters) == (step, sides)

    def test_a_panel_shows_the_bone_in_its_middle_and_the_letters_around(self, predictions):
        view = SliceView(predictions, "L6", 7)
        image = SliceReader().read([view])[view.key]
        axes = Figure().subplots()
        draw_slice(axes, image)
        left, right = axes.get_xlim()
        bottom, top = axes.get_ylim()
        assert (right - left, top - bottom) == (70, 70)
        assert ((left + right) / 2, (bottom + top) / 2) == (2.5 * 2.0, 8.5 * 3.0)
        assert axes.get_aspect() == 1
        places = {text.get_text(): text.get_position() for text in axes.texts}
        assert places["R"][0] < places["L"][0]
        assert places["A"][1] > places["P"][1]
        colours = {tuple(np.round(c.get_edgecolor()[0], 3)) for c in axes.collections}
        from matplotlib.colors import to_rgba

        assert colours == {tuple(np.round(to_rgba(colour), 3)) for colour in (REFERENCE, PREDICTION)}
        assert frame_mm([image], square=False)[1] == (left, right)


class TestChoice:
    @pytest.fixture
    def data(self, tree):
        path = tree.test(SCRATCH) / "L6.nrrd"
        voxels = np.zeros((10, 11, 12), np.uint8)
        voxels[2, 3:7, 4:8] = 1  # Right.
        voxels[3, 3:7, 4:6] = 1  # Half of it.
        voxels[8, 0:8, 0:8] = 1  # A false positive, larger than the two false negative slices 4 and 5.
        image = sitk.GetImageFromArray(voxels)
        image.CopyInformation(sitk.ReadImage(str(path)))
        sitk.WriteImage(image, str(path))
        (path.parent / "R7.nrrd").unlink()
        (tree.raw / "labelsTs" / "R7.nrrd").unlink()
        return _data(tree)

    def test_best_median_and_worst_slice(self, data):
        with style():
            (sketch,) = draw_extreme_slices(data, SliceReader())
        titles = [axes.get_title(loc="left") for axes in sketch.figure.axes]
        # Dice of slices 2, 3, 4, 5 and 8: 1, 0.667, 0, 0, 0.
        assert titles == [
            "Best: Dice 1.000\nL6, slice 2",
            "Median: Dice 0.000\nL6, slice 5",
            "Worst: Dice 0.000\nL6, slice 8",
        ]

    def test_the_grid_shows_the_slice_on_which_methods_differ_most(self, tree):
        tree.test(SCRATCH)
        tree.test(UNET, shift=1)  # Of the reference slices 2-5 it misses slice 2 only.
        with style():
            (sketch,) = draw_method_grid(_data(tree), SliceReader())
        assert "slice 2:" in sketch.caption
        titles = [axes.get_title(loc="left") for axes in sketch.figure.axes]
        assert [title.rpartition("\n")[2] for title in titles] == ["Dice 1.000", "Dice 0.000"]
        assert len({axes.get_xlim() + axes.get_ylim() for axes in sketch.figure.axes}) == 1

    def test_the_example_is_the_median_case_of_the_best_method(self, tree):
        tree.predict(SCRATCH, "test", ("L6",))
        tree.predict(SCRATCH, "test", ("R7",), shift=1)
        tree.test(UNET, shift=2)
        shown = choose_example(_data(tree))
        assert (shown.case, shown.best.method) == ("R7", SCRATCH)  # Of two cases the lower one.
        assert list(shown.predictions) == ["FemurScratch · 3d_fullres", "FemurUnetResNet34 · 3d_fullres"]

    def test_without_masks_there_is_no_example(self):
        assert choose_example(data_of((UNET, "test", "0", "a", 0.8))) is None

    def test_the_gallery_shows_both_ends(self, tree):
        tree.test(SCRATCH)
        with style():
            (sketch,) = draw_gallery(_data(tree), SliceReader())
        assert [text.get_text() for text in sketch.figure.axes[0].texts] == ["5", "4", "3", "2"]


class TestFiles:
    @pytest.fixture
    def data(self, tree):
        tree.test(UNET, shift=1)
        tree.test(SCRATCH)
        return _data(tree)

    def test_every_registered_figure_is_drawn_as_png_and_svg(self, data):
        drawings, problems = draw_all(data)
        assert problems == []
        # Without probabilities and curves of trainings, two are missing; there are slices of two methods.
        missing = {draw_reliability, draw_training_curves}
        assert len({drawing.name for drawing in drawings}) == len(drawings) == len({*FIGURES} - missing) + 1
        for drawing in drawings:
            pixels = matplotlib.image.imread(io.BytesIO(drawing.png))
            assert pixels.std() > 0.01
            assert drawing.svg.startswith(b"<?xml")
            assert drawing.caption.endswith(".")

    def test_without_masks_the_scores_are_drawn(self):
        drawings, _ = draw_all(data_of((UNET, "test", "0", "a", 0.8), (SCRATCH, "test", "0", "a", 0.9)))
        assert [drawing.name for drawing in drawings] == ["boxes_test"]

    def test_figures_are_reused_while_nothing_changes(self, data, tmp_path, monkeypatch):
        monkeypatch.setattr(figures, "FIGURES", (draw_boxes,))
        provenance = figure_provenance(data, [])
        drawings, _ = draw_all(data)
        (tmp_path / "figures").mkdir()
        (tmp_path / INDEX).write_text(index_of(drawings, provenance))
        for name, content in figure_files(drawings).items():
            (tmp_path / name).write_bytes(content)
        assert read_figures(tmp_path, provenance) == drawings
        assert read_figures(tmp_path, replace(provenance, inputs="another")) is None
        assert read_figures(tmp_path, replace(provenance, settings="another")) is None
        (tmp_path / "figures" / "boxes_test.png").write_bytes(drawings[0].png[:-1])
        assert read_figures(tmp_path, provenance) is None
        assert draw_all(data, provenance=provenance, earlier=tmp_path) == (drawings, [])

    @pytest.mark.parametrize(
        "index",
        [
            "",
            "{",
            "[]",
            '{"provenance": null, "figures": []}',
            # As version 0.1 wrote it.
            '[{"key": "k", "name": "boxes", "section": "Scores", "caption": "", "wide": true, "png": "", "svg": ""}]',
        ],
    )
    def test_figures_with_another_index_are_drawn_again(self, data, tmp_path, index):
        (tmp_path / "figures").mkdir()
        (tmp_path / INDEX).write_text(index)
        assert read_figures(tmp_path, figure_provenance(data, [])) is None

    def test_a_ct_that_cannot_be_read_costs_its_grey_values_alone(self, data, tree, monkeypatch):
        monkeypatch.setattr(figures, "FIGURES", (draw_extreme_slices, draw_planes))
        for path in (tree.raw / "imagesTs").iterdir():
            path.write_text("no volume")
        drawings, problems = draw_all(data)
        assert len(drawings) == 3
        assert {problem.partition(":")[0] for problem in problems} <= {
            str(path) for path in (tree.raw / "imagesTs").iterdir()
        }
        assert problems

    def test_a_figure_that_fails_does_not_cost_the_others(self, data, monkeypatch):
        def draw_wrong(*_):
            raise ZeroDivisionError

        monkeypatch.setattr(figures, "FIGURES", (draw_wrong, draw_boxes))
        drawings, problems = draw_all(data)
        assert [drawing.name for drawing in drawings] == ["boxes_test"]
        (problem,) = problems
        assert "wrong" in problem
        assert "ZeroDivisionError" in problem

    def test_the_provenance_changes_with_a_mask_and_with_a_score(self, data):
        before = figure_provenance(data, [])
        assert figure_provenance(data, []) == before
        one = data.predictions[0]
        path = next(iter(one.files.values()))
        path.write_bytes(path.read_bytes() + b" ")
        after = figure_provenance(data, [])
        assert after != before
        data.scored.scores.loc[0, "value"] += 0.5
        assert figure_provenance(data, []) != after


def test_pyplot_is_not_imported():
    code = "import sys, nnunet_femur.comparison.report.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
