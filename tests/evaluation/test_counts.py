"""Counts of every slice, on a pair of boxes worked out by hand."""

import numpy as np

from nnunet_femur.evaluation import EMPTY_KINDS, PLANES, Bone
from nnunet_femur.evaluation.counts import count


def _slices(reference, prediction):
    return count(Bone(reference, (1.0, 1.0, 1.0)), Bone(prediction, (1.0, 1.0, 1.0))).slices["whole"]


def _pair():
    """Two boxes of 2 x 2 x 2 voxels, the prediction one slice higher and one voxel further right."""
    reference, prediction = np.zeros((2, 6, 7, 8), dtype=bool)
    reference[1:3, 2:4, 3:5] = True
    prediction[2:4, 2:4, 4:6] = True
    return reference, prediction


class TestSlices:
    def test_axial(self):
        index, counts = _slices(*_pair())["axial"]
        assert index.tolist() == [1, 2, 3]
        assert counts.reference.tolist() == [4, 4, 0]
        assert counts.prediction.tolist() == [0, 4, 4]
        assert counts.shared.tolist() == [0, 2, 0]
        assert counts.union.tolist() == [4, 6, 4]

    def test_coronal(self):
        index, counts = _slices(*_pair())["coronal"]
        assert index.tolist() == [2, 3]
        assert counts.reference.tolist() == counts.prediction.tolist() == [4, 4]
        assert counts.shared.tolist() == [1, 1]

    def test_sagittal(self):
        index, counts = _slices(*_pair())["sagittal"]
        assert index.tolist() == [3, 4, 5]
        assert counts.reference.tolist() == [4, 4, 0]
        assert counts.prediction.tolist() == [0, 4, 4]
        assert counts.shared.tolist() == [0, 2, 0]

    def test_every_plane_counts_the_same_voxels(self):
        rng = np.random.default_rng(0)
        reference, prediction = rng.random((2, 5, 6, 7)) > 0.6
        for plane in PLANES:
            total = _slices(reference, prediction)[plane][1].total()
            assert total.reference.tolist() == [reference.sum()]
            assert total.prediction.tolist() == [prediction.sum()]
            assert total.shared.tolist() == [(reference & prediction).sum()]

    def test_empty_masks_have_no_slices(self):
        empty = np.zeros((3, 4, 5), dtype=bool)
        for index, counts in _slices(empty, empty).values():
            assert index.size == 0
            assert counts.total().empty["both_empty"].tolist() == [True]

    def test_kinds_of_emptiness(self):
        _, counts = _slices(*_pair())["axial"]
        assert list(counts.empty) == list(EMPTY_KINDS)
        assert counts.empty["prediction_empty"].tolist() == [True, False, False]
        assert counts.empty["truth_empty"].tolist() == [False, False, True]
        assert not counts.empty["both_empty"].any()
