"""Matrices against nnU-Net's own resampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape, resample_data_or_seg_to_shape

from nnunet_femur.prediction.axis_resampling import along, plan_resampling, reach, support, weights

SPACINGS = [
    ((2.0, 0.74, 0.74), (1.5, 1.5, 1.5)),
    ((0.7, 0.8, 0.9), (0.5, 1.1, 0.9)),
    ((5.0, 0.8, 0.8), (1.5, 1.5, 1.5)),
    ((1.5, 1.5, 1.5), (0.8, 0.8, 5.0)),
]


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize(("old", "new"), SPACINGS)
def test_gives_what_nnunet_gives(old: tuple[float, ...], new: tuple[float, ...], order: int) -> None:
    values = np.random.default_rng(0).standard_normal((1, 12, 25, 19))
    settings = {"is_seg": False, "order": order, "order_z": 0, "force_separate_z": None}
    shape = [int(n) for n in compute_new_shape(values.shape[1:], old, new)]
    expected = resample_data_or_seg_to_shape(values, shape, old, new, **settings)[0]
    plan = plan_resampling(values.shape[1:], shape, old, new, settings)
    found = torch.from_numpy(values[0])
    for axis, matrix in enumerate(plan.matrices):
        found = along(found, torch.from_numpy(matrix), axis)
    # scikit-image also cuts off what overshoots, of a volume or of each slice that is resized by itself.
    clipped = np.isin(expected, values) & (np.abs(found.numpy() - expected) > 1e-9)
    assert (plan.slicewise_axis is not None) == (max(old) / min(old) > 3 or max(new) / min(new) > 3)
    assert clipped.mean() < (0.2 if order == 3 else 1e-9)
    assert np.abs(found.numpy() - expected)[~clipped].max() < 1e-9


def test_the_nearest_sample_is_chosen() -> None:
    assert weights(2, 4, 0).tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]
    assert weights(4, 2, 1).tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]


def test_channels_are_resampled_alike() -> None:
    values = torch.rand(2, 4, 5, 6, dtype=torch.float64)
    matrix = torch.from_numpy(weights(4, 7, 1))
    both = along(values, matrix, 0)
    assert both.shape == (2, 7, 5, 6)
    assert torch.equal(both[1], along(values[1], matrix, 0))


def test_support_and_reach_name_each_other() -> None:
    matrix = weights(4, 8, 1)
    assert support(matrix, slice(0, 1)) == slice(0, 1)
    assert support(matrix, slice(0, 2)) == slice(0, 2)
    assert reach(matrix, slice(0, 1)) == slice(0, 3)
    assert reach(weights(9, 3, 0), slice(0, 1)) == slice(0, 0), "a sample that no other is nearest to"
