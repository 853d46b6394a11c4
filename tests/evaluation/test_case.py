"""The protocols on cases worked out by hand, empty masks, and properties that hold for any mask."""

import numpy as np
import pytest

from nnunet_femur.evaluation import METRICS, PLANES, POLICIES, Bone, Scoring, score_case


def _boxes():
    """Reference of slices 1-2 and prediction of slices 2-3: one slice missed, one half right, one false positive."""
    reference, prediction = np.zeros((2, 6, 7, 8), dtype=bool)
    reference[1:3, 2:4, 3:5] = True
    prediction[2:4, 2:4, 4:6] = True
    return reference, prediction


def _case(reference, prediction, spacing_mm=(1.0, 1.0, 1.0), **options):
    return score_case(Bone(reference, spacing_mm), Bone(prediction, spacing_mm), **options)


def _values(reference, prediction, spacing_mm=(1.0, 1.0, 1.0), **options) -> dict[tuple[str, str, str], float]:
    """The scores of the whole bone."""
    scores = _case(reference, prediction, spacing_mm, **options).scores
    return {(one.protocol, one.plane, one.metric): one.value for one in scores if one.region == "whole"}


class TestVolume:
    def test_overlap_and_volume(self):
        values = _values(*_boxes(), spacing_mm=(5.0, 10.0, 10.0))
        assert values["volume", "all", "dice"] == 2 * 2 / 16
        assert values["volume", "all", "iou"] == 2 / 14
        assert values["volume", "all", "vs"] == 1
        assert values["volume", "all", "truth_volume"] == values["volume", "all", "prediction_volume"] == 4
        assert values["volume", "all", "precision"] == values["volume", "all", "recall"] == 2 / 8
        assert values["volume", "all", "avs"] == 1
        assert values["volume", "all", "prediction_empty"] == 0


class TestSlices:
    def test_axial_means_count_false_negatives_and_false_positives(self):
        values = _values(*_boxes())
        assert values["slices", "axial", "slices"] == 3
        assert values["slices", "axial", "dice"] == pytest.approx((0 + 0.5 + 0) / 3)
        assert values["slices", "axial", "dice_sd"] == pytest.approx(np.std([0, 0.5, 0]))
        assert values["slices", "axial", "iou"] == pytest.approx((0 + 2 / 6 + 0) / 3)
        assert values["slices", "axial", "vs"] == pytest.approx((0 + 1 + 2) / 3)
        assert values["slices", "axial", "prediction_empty"] == 1
        assert values["slices", "axial", "truth_empty"] == 1
        assert values["slices", "axial", "both_empty"] == 0

    def test_coronal_and_sagittal(self):
        values = _values(*_boxes())
        assert values["slices", "coronal", "dice"] == 0.25
        assert values["slices", "coronal", "slices"] == 2
        assert values["slices", "sagittal", "dice"] == pytest.approx(0.5 / 3)

    def test_index_of_slices_in_the_volume(self):
        axial = _case(*_boxes()).slices["axial"]
        assert axial.index.tolist() == [1, 2, 3]
        assert axial.size.tolist() == [4, 6, 4]
        assert axial.reference.tolist() == [4, 4, 0]
        assert axial.values["dice"].tolist() == [0, 0.5, 0]


class TestEmpty:
    empty = np.zeros((3, 4, 5), dtype=bool)
    full = np.ones((3, 4, 5), dtype=bool)

    @pytest.mark.parametrize(
        ("reference", "prediction", "dice", "vs", "kind"),
        [
            (empty, empty, 1, 1, "both_empty"),
            (empty, full, 0, 2, "truth_empty"),
            (full, empty, 0, 0, "prediction_empty"),
        ],
    )
    def test_policy_decides(self, reference, prediction, dice, vs, kind):
        values = _values(reference, prediction)
        assert values["volume", "all", kind] == 1
        for protocol, plane in (("volume", "all"), *(("slices", plane) for plane in PLANES)):
            assert values[protocol, plane, "dice"] == values[protocol, plane, "iou"] == dice
            assert values[protocol, plane, "vs"] == vs

    def test_distances_of_a_false_negative_are_the_diagonal(self):
        diagonal_mm = np.sqrt(6**2 + 4**2 + 5**2)
        for masks in ((self.full, self.empty), (self.empty, self.full)):
            values = _values(*masks, spacing_mm=(2.0, 1.0, 1.0))
            assert [values["volume", "all", name] for name in ("hd95", "hd", "assd")] == pytest.approx(
                [diagonal_mm] * 3
            )
            assert [values["volume", "all", f"nsd{mm}"] for mm in (1, 2, 3)] == [0, 0, 0]
        both = _values(self.empty, self.empty)
        assert {name: both["volume", "all", name] for name in METRICS} == {
            name: metric.ideal for name, metric in METRICS.items()
        }

    def test_distances_of_a_missed_slice_are_the_diagonal_of_the_slice(self):
        values = _values(self.full, self.empty, (2.0, 1.0, 1.0), scoring=Scoring(slice_surfaces=True))
        assert values["slices", "axial", "hd"] == pytest.approx(np.hypot(4, 5))
        assert values["slices", "coronal", "hd"] == pytest.approx(np.hypot(6, 5))
        assert values["slices", "sagittal", "nsd1"] == 0

    def test_other_policies(self):
        formula = _values(self.full, self.empty, scoring=Scoring(POLICIES["formula"]))
        assert np.isnan(formula["volume", "all", "hd"])
        assert np.isnan(formula["volume", "all", "precision"])
        assert formula["volume", "all", "dice"] == 0
        brats = _values(self.full, self.empty, scoring=Scoring(POLICIES["brats"]))
        assert brats["volume", "all", "hd95"] == pytest.approx(373.13, abs=0.01)

    def test_an_empty_reference_has_no_regions(self):
        case = _case(self.empty, self.full)
        assert {score.region for score in case.scores} == {"whole"}
        assert case.profile is None

    def test_two_empty_masks_have_no_slices_but_one_substitution(self):
        values = _values(self.empty, self.empty)
        assert values["slices", "axial", "slices"] == 0
        assert values["slices", "axial", "both_empty"] == 1


class TestProperties:
    rng = np.random.default_rng(1)
    reference, prediction = rng.random((2, 6, 7, 8)) > 0.5

    def test_identity_is_perfect(self):
        values = _values(self.reference, self.reference)
        assert {values[key] for key in values if key[2] in {"dice", "iou", "vs", "avs", "precision", "recall"}} == {1.0}

    def test_swapping_reference_and_prediction_mirrors_vs_and_keeps_overlap(self):
        one = _values(self.reference, self.prediction)
        other = _values(self.prediction, self.reference)
        for key, value in one.items():
            if key[2] in {"dice", "iou"}:
                assert other[key] == pytest.approx(value)
            if key[2] == "vs":
                assert other[key] == pytest.approx(2 - value)

    def test_air_around_changes_nothing_but_the_place_of_slices(self):
        padded = [np.pad(mask, ((2, 1), (0, 3), (4, 0))) for mask in (self.reference, self.prediction)]
        plain, wide = (_case(*masks) for masks in ((self.reference, self.prediction), padded))
        assert wide.scores == plain.scores
        assert (wide.slices["axial"].index - plain.slices["axial"].index == 2).all()
