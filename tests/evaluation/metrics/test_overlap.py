"""Every metric that rests on counts, by hand and against SimpleITK."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_femur.evaluation import METRICS, OVERLAP_METRICS, SURFACE_METRICS, Overlap

# TP = 3, FN = 1, FP = 3: reference 4 voxels, prediction 6, union 7.
PAIR = Overlap(np.array([3]), np.array([4]), np.array([6]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dice", 6 / 10),
        ("iou", 3 / 7),
        ("vs", 1 + 2 / 10),
        ("avs", 1 - 2 / 10),
        ("precision", 3 / 6),
        ("recall", 3 / 4),
    ],
)
def test_by_hand(name, expected):
    assert OVERLAP_METRICS[name].compute(PAIR) == [expected]


def test_under_segmentation_has_a_signed_volume_similarity_below_one():
    small = Overlap(np.array([4]), np.array([6]), np.array([4]))
    assert OVERLAP_METRICS["vs"].compute(small) == [1 - 2 / 10]
    assert OVERLAP_METRICS["avs"].compute(small) == [1 - 2 / 10]


@pytest.mark.parametrize("metric", OVERLAP_METRICS.values(), ids=OVERLAP_METRICS)
def test_undefined_for_two_empty_masks(metric):
    zero = np.array([0])
    assert np.isnan(metric.compute(Overlap(zero, zero, zero))).all()


@pytest.mark.parametrize("metric", OVERLAP_METRICS.values(), ids=OVERLAP_METRICS)
def test_identical_masks_score_the_ideal(metric):
    five = np.array([5])
    assert metric.compute(Overlap(five, five, five)) == [metric.ideal]


def test_the_registry_has_both_kinds_once_with_their_labels():
    assert {*OVERLAP_METRICS, *SURFACE_METRICS} == {*METRICS}
    assert list(METRICS) == [
        *("dice", "iou", "vs", "avs", "precision", "recall"),
        *("hd95", "hd", "assd", "nsd1", "nsd2", "nsd3"),
    ]
    for metric in METRICS.values():
        assert metric.label
        assert metric.formula
        assert metric.source
        assert metric.unit == ("mm" if metric.name in {"hd95", "hd", "assd"} else "1")


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.05, 0.95))
def test_agrees_with_simpleitk(seed, share):
    rng = np.random.default_rng(seed)
    reference, prediction = rng.random((2, 4, 5, 6)) < share
    reference[0, 0, 0] = prediction[1, 1, 1] = True
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*(sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (prediction, reference)))
    counts = Overlap(*(np.array([mask.sum()]) for mask in (reference & prediction, reference, prediction)))
    ours = {name: metric.compute(counts)[0] for name, metric in OVERLAP_METRICS.items()}
    assert ours["dice"] == pytest.approx(overlap.GetDiceCoefficient(1), abs=1e-12)
    assert ours["iou"] == pytest.approx(overlap.GetJaccardCoefficient(1), abs=1e-12)
    assert ours["recall"] == pytest.approx(1 - overlap.GetFalseNegativeError(1), abs=1e-12)
    assert ours["precision"] == pytest.approx(1 - overlap.GetFalseDiscoveryRate(1), abs=1e-12)
    # ITK's volume similarity is 2 (Vpred - Vgt) / (Vpred + Vgt).
    assert ours["vs"] == pytest.approx(1 + overlap.GetVolumeSimilarity(1) / 2, abs=1e-12)
    assert ours["avs"] == pytest.approx(1 - abs(overlap.GetVolumeSimilarity(1)) / 2, abs=1e-12)
