"""The study's protocol against a copy of its formulas written out by hand."""

from itertools import chain

import numpy as np
import pytest

PLANES = ("axial", "coronal", "sagittal")


def _counts(reference, prediction):
    tp = np.count_nonzero(reference & prediction)
    return tp, np.count_nonzero(prediction & ~reference), np.count_nonzero(reference & ~prediction)


def _study_scores(reference, prediction):
    """As in the authors' notebooks: plain formulas of one slice or volume."""
    tp, fp, fn = _counts(reference, prediction)
    true_volume, predicted_volume = np.count_nonzero(reference), np.count_nonzero(prediction)
    return {
        "dice": 2 * tp / (2 * tp + fp + fn),
        "iou": tp / (tp + fp + fn),
        "vs": 1 - (true_volume - predicted_volume) / (true_volume + predicted_volume),
    }


def _study_slices(reference, prediction, axis, *, drops):
    """Scores of the slices across an axis that hold reference, without those of IoU 0 if it `drops` them."""
    found = []
    for number in range(reference.shape[axis]):
        true, predicted = reference.take(number, axis), prediction.take(number, axis)
        if true.any():
            scores = _study_scores(true, predicted)
            if not (drops and scores["iou"] == 0):
                found.append(scores)
    return found


def _study_stack(reference, prediction, axis):
    """3D scores of a method that predicts slices: those with reference, stacked."""
    kept = [number for number in range(reference.shape[axis]) if reference.take(number, axis).any()]
    return _study_scores(reference.take(kept, axis), prediction.take(kept, axis))


@pytest.fixture
def masks(long_bone, blobs):
    prediction = (long_bone & blobs(7, long_bone.shape, 0.85)) | blobs(8, long_bone.shape, 0.01)
    prediction[10:14] = False  # Missed slices.
    prediction[1, 3:6, 3:6] = True  # A false positive beyond the reference.
    return long_bone, prediction


@pytest.mark.parametrize("in_slices", [True, False])
def test_2d_scores(masks, scored, in_slices):
    ours = scored(*masks, (2.0, 0.74, 0.74), predicted_in_slices=in_slices)
    by_plane = [_study_slices(*masks, axis, drops=not in_slices) for axis in range(3)]
    for plane, slices in [*zip(PLANES, by_plane, strict=True), ("pooled", [*chain(*by_plane)])]:
        assert ours["paper", plane, "whole", "slices"] == len(slices)
        for name in ("dice", "iou", "vs"):
            values = np.array([one[name] for one in slices])
            assert ours["paper", plane, "whole", name] == pytest.approx(values.mean(), abs=1e-12)
            assert ours["paper", plane, "whole", f"{name}_sd"] == pytest.approx(values.std(), abs=1e-12)
    assert ours["paper", "axial", "whole", "dropped"] == (0 if in_slices else 4)


@pytest.mark.parametrize("in_slices", [True, False])
def test_3d_scores(masks, scored, in_slices):
    ours = scored(*masks, (2.0, 0.74, 0.74), predicted_in_slices=in_slices)
    stacks = [_study_stack(*masks, axis) for axis in range(3)] if in_slices else [_study_scores(*masks)]
    for name in ("dice", "iou", "vs"):
        expected = np.mean([stack[name] for stack in stacks])
        assert ours["paper", "all", "whole", name] == pytest.approx(expected, abs=1e-12)


def test_heads_are_the_first_and_last_twenty_axial_slices(masks, scored):
    reference, prediction = masks
    held = np.flatnonzero(reference.any(axis=(1, 2)))
    chosen = sorted({*held[:20], *held[-20:]})
    ours = scored(reference, prediction, predicted_in_slices=True)
    slices = _study_slices(reference[chosen], prediction[chosen], 0, drops=False)
    stack = _study_scores(reference[chosen], prediction[chosen])
    for name in ("dice", "iou", "vs"):
        values = np.array([one[name] for one in slices])
        assert ours["paper", "axial", "ends", name] == pytest.approx(values.mean(), abs=1e-12)
        assert ours["paper", "axial", "ends", f"{name}_sd"] == pytest.approx(values.std(), abs=1e-12)
        assert ours["paper", "all", "ends", name] == pytest.approx(stack[name], abs=1e-12)


def test_missed_slices_count_in_the_protocol_slices_only(masks, scored):
    ours = scored(*masks)
    assert ours["slices", "axial", "whole", "dice"] < ours["paper", "axial", "whole", "dice"]


def test_a_missed_volume_leaves_no_slice(long_bone, scored):
    ours = scored(long_bone, np.zeros_like(long_bone))
    assert ours["paper", "axial", "whole", "slices"] == 0
    assert np.isnan(ours["paper", "axial", "whole", "dice"])
    assert ours["paper", "axial", "whole", "dropped"] == 61
    assert ours["paper", "all", "whole", "dice"] == 0
