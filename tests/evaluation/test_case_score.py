"""The public function `score`: paths, images and arrays, and everything that it refuses."""

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

import nnunet_femur as nf
from nnunet_femur.comparison.scoring import COLUMNS
from nnunet_femur.evaluation import METRICS, POLICIES, Scorer
from tests.refusing import refused

SPACING_MM = (3.0, 2.0, 1.0)


@pytest.fixture
def pair():
    """Reference and prediction: boxes of 4 x 4 x 4 voxels, the prediction one slice higher."""
    reference = np.zeros((10, 11, 12), dtype=np.uint8)
    reference[2:6, 3:7, 4:8] = 1
    return np.roll(reference, 1, axis=0), reference


def _image(voxels, *, spacing_mm_zyx=SPACING_MM, origin=(0.0, 0.0, 0.0)) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing_mm_zyx[::-1])
    image.SetOrigin(origin)
    return image


class TestForms:
    def test_arrays(self, pair):
        scores = nf.score(*pair, spacing_mm_zyx=SPACING_MM)
        assert scores["dice"] == 0.75
        assert scores["hd"] == 3.0
        assert scores["truth_volume"] == pytest.approx(64 * 6 / 1000)
        assert scores["slices", "axial", "whole", "slices"] == 5

    def test_images_and_files_score_as_arrays_do(self, pair, tmp_path):
        by_array = nf.score(*pair, spacing_mm_zyx=SPACING_MM).to_frame()
        images = [_image(mask) for mask in pair]
        paths = [tmp_path / "prediction.nii.gz", tmp_path / "reference.nrrd"]
        for image, path in zip(images, paths, strict=True):
            sitk.WriteImage(image, str(path))
        for given in (images, paths, [str(path) for path in paths], (paths[0], images[1])):
            pd.testing.assert_frame_equal(nf.score(*given).to_frame(), by_array)

    def test_images_stored_in_another_order(self, pair):
        prediction, reference = (_image(mask) for mask in pair)
        assert nf.score(sitk.DICOMOrient(prediction, "SAR"), reference)["dice"] == 0.75

    @pytest.mark.parametrize("kind", [bool, np.int16, np.float32])
    def test_any_type_of_zeros_and_ones(self, pair, kind):
        assert nf.score(*(mask.astype(kind) for mask in pair), spacing_mm_zyx=SPACING_MM)["dice"] == 0.75

    def test_labels(self, pair):
        prediction, reference = pair
        several = prediction * 3
        several[9] = 2
        assert nf.score(several, reference * 3, spacing_mm_zyx=SPACING_MM, labels=[3])["dice"] == 0.75

    def test_options(self, pair):
        prediction, reference = pair
        empty = np.zeros_like(reference)
        for policy in ("formula", POLICIES["formula"]):
            assert np.isnan(nf.score(empty, reference, spacing_mm_zyx=SPACING_MM, policy=policy)["hd95"])
        scores = nf.score(prediction, reference, spacing_mm_zyx=SPACING_MM, slice_surfaces=True, in_slices=True)
        assert scores["slices", "coronal", "whole", "hd"] == 3.0
        assert scores["paper", "axial", "whole", "dropped"] == 0

    def test_a_scorer_reads_its_reference_once(self, pair, tmp_path):
        path = tmp_path / "reference.nrrd"
        sitk.WriteImage(_image(pair[1]), str(path))
        scorer = Scorer(path)
        path.unlink()
        assert [scorer.score(_image(mask))["dice"] for mask in pair] == [0.75, 1.0]


class TestRefused:
    @pytest.mark.parametrize(
        ("reference", "prediction", "spacing_mm_zyx"),
        [
            # As the tests of google-deepmind/surface-distance expect.
            ((2, 2, 2), (2, 2), (1, 1)),
            ((2, 2), (2, 2, 2), (1, 1)),
            ((2, 2), (2, 2), (1, 1, 1)),
            # Others of the kind.
            ((2, 2, 2), (2, 2, 2), (1, 1)),
            ((2, 2, 2), (2, 2, 2), (1, 1, 1, 1)),
            ((2, 2, 3), (2, 3, 2), (1, 1, 1)),
            ((1, 2, 2), (2, 2, 2), (1, 1, 1)),
        ],
    )
    def test_shapes_and_spacings_that_differ(self, reference, prediction, spacing_mm_zyx):
        with refused("grid-differs"):
            nf.score(np.ones(prediction, bool), np.ones(reference, bool), spacing_mm_zyx=spacing_mm_zyx)

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"spacing_mm_zyx": (3.0, 2.0, 1.5)}, "1.5"),
            ({"origin": (0.0, 0.0, 3.0)}, "origin"),
        ],
    )
    def test_images_on_other_grids(self, pair, changes, named):
        prediction, reference = pair
        with refused("grid-differs", "prediction", "reference", named):
            nf.score(_image(prediction, **changes), _image(reference))

    def test_an_image_of_another_size(self, pair):
        with refused("grid-differs", "(12, 11, 10)", "(12, 11, 9)"):
            nf.score(_image(pair[0][1:]), _image(pair[1]))

    def test_arrays_without_spacing_and_spacing_without_arrays(self, pair):
        with refused("invalid-option", "spacing_mm_zyx"):
            nf.score(*pair)
        with refused("invalid-option", "spacing_mm_zyx"):
            nf.score(*map(_image, pair), spacing_mm_zyx=SPACING_MM)

    @pytest.mark.parametrize("spacing_mm_zyx", [(1, 1, 0), (1, -1, 1), (1, float("nan"), 1)])
    def test_a_spacing_that_is_not_positive(self, pair, spacing_mm_zyx):
        with refused("invalid-option", "spacing_mm_zyx"):
            nf.score(*pair, spacing_mm_zyx=spacing_mm_zyx)

    def test_an_array_and_an_image(self, pair):
        prediction, reference = pair
        with refused("invalid-option", "array"):
            nf.score(prediction, _image(reference), spacing_mm_zyx=SPACING_MM)
        with refused("invalid-option", "array"):
            nf.score(_image(prediction), reference, spacing_mm_zyx=SPACING_MM)

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            (lambda mask: mask * 0.25, "mask-labels"),
            (lambda mask: mask * np.arange(12), "mask-labels"),
            (lambda mask: mask * -1.0, "mask-labels"),
            (lambda mask: np.where(mask > 0, np.nan, 0.0), "not-finite"),
            (lambda mask: mask.astype(complex), "unsupported"),
            (lambda mask: mask.astype(str), "unsupported"),
        ],
    )
    def test_arrays_that_are_not_masks(self, pair, change, code):
        prediction, reference = pair
        with refused(code, "prediction"):
            nf.score(change(prediction), reference, spacing_mm_zyx=SPACING_MM)
        with refused(code, "reference"):
            nf.score(prediction, change(reference), spacing_mm_zyx=SPACING_MM)

    @pytest.mark.parametrize("shape", [(4, 5), (4,), (2, 3, 4, 5), (0, 4, 5)])
    def test_arrays_that_are_not_volumes(self, shape):
        masks = np.ones(shape, bool), np.ones(shape, bool)
        with refused("unsupported"):
            nf.score(*masks, spacing_mm_zyx=(1.0,) * len(shape))

    def test_images_that_are_not_volumes(self, pair):
        reference = _image(pair[1])
        for bad in (sitk.JoinSeries(reference, reference), sitk.Compose(reference, reference), reference[:, :, 0]):
            with refused("unsupported", "prediction"):
                nf.score(bad, reference)

    def test_paths_and_policies_that_do_not_exist(self, pair, tmp_path):
        with refused("not-found", tmp_path / "nothing.nrrd"):
            nf.score(tmp_path / "nothing.nrrd", _image(pair[1]))
        with refused("invalid-option", "lenient", "strict"):
            nf.score(*pair, spacing_mm_zyx=SPACING_MM, policy="lenient")

    def test_segments_of_an_image(self, pair):
        with refused("invalid-option", "segments"):
            nf.score(*map(_image, pair), segments=["Femur"])


class TestCaseScores:
    @pytest.fixture
    def scores(self, pair):
        return nf.score(*pair, spacing_mm_zyx=SPACING_MM)

    def test_items(self, scores):
        assert list(scores)[: len(METRICS)] == list(METRICS)
        assert "dice" in scores
        assert "nothing" not in scores
        for name in ("nothing", ("slices", "oblique", "whole", "dice")):
            with pytest.raises(KeyError):
                scores[name]

    def test_frame(self, scores):
        frame = scores.to_frame()
        assert set(frame.columns) < set(COLUMNS)
        assert len(frame) == len(scores.scores)
        dice = frame[(frame["protocol"] == "volume") & (frame["region"] == "whole") & (frame["metric"] == "dice")]
        assert dice["value"].item() == scores["dice"]

    def test_text_and_table(self, scores):
        assert "dice 0.75" in repr(scores)
        table = scores._repr_html_()
        assert table.count("<table") == 2
        for metric in METRICS.values():
            assert metric.label in table

    def test_text_of_undefined_scores(self, pair):
        empty = np.zeros_like(pair[0])
        scores = nf.score(empty, empty, spacing_mm_zyx=SPACING_MM, policy="formula")
        assert "nan" in repr(scores)
        assert "<table" in scores._repr_html_()
