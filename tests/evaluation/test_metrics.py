"""Every metric by hand and against SimpleITK."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_femur.evaluation import METRICS, Overlap
from nnunet_femur.evaluation.metrics import dice, iou, signed_volume_similarity


def _counts(truth: np.ndarray, prediction: np.ndarray) -> Overlap:
    return Overlap(*(np.array([mask.sum()]) for mask in (truth & prediction, truth, prediction)))


class TestByHand:
    # TP = 3, FN = 1, FP = 3: truth 4 voxels, prediction 6, union 7.
    pair = Overlap(np.array([3]), np.array([4]), np.array([6]))

    def test_dice(self):
        assert dice(self.pair) == [6 / 10]

    def test_iou(self):
        assert iou(self.pair) == [3 / 7]

    def test_signed_volume_similarity(self):
        assert signed_volume_similarity(self.pair) == [1 + 2 / 10]

    def test_under_segmentation_is_below_one(self):
        assert signed_volume_similarity(Overlap(np.array([4]), np.array([6]), np.array([4]))) == [1 - 2 / 10]

    @pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
    def test_undefined_for_two_empty_masks(self, metric):
        zero = np.array([0])
        assert np.isnan(metric.compute(Overlap(zero, zero, zero))).all()

    @pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
    def test_identical_masks_score_the_ideal(self, metric):
        five = np.array([5])
        assert metric.compute(Overlap(five, five, five)) == [metric.ideal]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.05, 0.95))
def test_agrees_with_simpleitk(seed, share):
    rng = np.random.default_rng(seed)
    truth, prediction = rng.random((2, 4, 5, 6)) < share
    truth[0, 0, 0] = prediction[1, 1, 1] = True
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*(sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (prediction, truth)))
    counts = _counts(truth, prediction)
    assert dice(counts)[0] == pytest.approx(overlap.GetDiceCoefficient(1), abs=1e-12)
    assert iou(counts)[0] == pytest.approx(overlap.GetJaccardCoefficient(1), abs=1e-12)
    # ITK's volume similarity is 2 (Vpred - Vgt) / (Vpred + Vgt).
    assert signed_volume_similarity(counts)[0] == pytest.approx(1 + overlap.GetVolumeSimilarity(1) / 2, abs=1e-12)
