"""Logits of a box stand for those of the whole CT, in which the rest is not femur; also on the CT's own grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from nnunet_femur.prediction.box_logits import FoldLogits, mark_not_femur
from nnunet_femur.prediction.export import export
from nnunet_femur.prediction.preprocessing import Preprocessed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BOX = (slice(2, 6), slice(0, 3), slice(1, 5))


def _of_box(channels: int = 2) -> FoldLogits:
    torch.manual_seed(2)
    return FoldLogits([torch.randn(channels, 4, 3, 4).half()], BOX, (8, 5, 5))


def test_the_rest_is_background() -> None:
    logits = _of_box(3)
    (whole,) = logits.filled().values
    assert whole.shape == (3, 8, 5, 5)
    assert torch.equal(whole[(slice(None), *BOX)], logits.values[0])
    outside = torch.ones(8, 5, 5, dtype=torch.bool)
    outside[BOX] = False
    assert (whole.argmax(0)[outside] == 0).all()
    assert outside.sum() == 8 * 5 * 5 - 4 * 3 * 4


def test_the_rest_is_in_no_region() -> None:
    (whole,) = _of_box().filled(regions=True).values
    assert whole[:, 7].max() < -5
    assert torch.equal(whole[(slice(None), *BOX)], _of_box().values[0])


def test_the_whole_is_itself() -> None:
    values = torch.zeros(2, 3, 4, 5)
    whole = FoldLogits.of_whole([values])
    assert whole.filled() is whole
    assert whole.box == (slice(0, 3), slice(0, 4), slice(0, 5))


def test_parts_are_boxes_of_the_ct() -> None:
    logits = _of_box()
    part = (slice(3, 5), slice(0, 1), slice(4, 5))
    assert logits.contains(part)
    assert torch.equal(logits.part(0, part), logits.values[0][:, 1:3, 0:1, 3:4])
    assert not logits.contains((slice(1, 5), *part[1:]))
    assert not logits.contains((*part[:2], slice(4, 6)))


def test_marks_single_voxels() -> None:
    logits = torch.full((3, 2, 1, 1), -1.0)
    logits[2] = 5.0
    mark_not_femur(logits, torch.tensor([True, False]).reshape(2, 1, 1))
    assert logits.argmax(0).flatten().tolist() == [0, 2]


@pytest.mark.integration
@pytest.mark.parametrize("order", [1, 3], ids=["linear", "splines, which overshoot"])
@pytest.mark.parametrize("folds", [1, 2])
def test_export_of_a_box_is_that_of_the_whole(
    order: int, folds: int, make_model: Callable[..., Path], nowhere: None
) -> None:
    from nnunet_femur.prediction.predictor import load_predictor
    from nnunet_femur.prediction.trained_model import find_model

    predictor = load_predictor(find_model(make_model(spacing=[8.0, 5.0, 5.0])), device=torch.device("cpu"))
    predictor.configuration_manager.configuration["resampling_fn_probabilities_kwargs"]["order"] = order
    torch.manual_seed(5)
    shape, box = (20, 24, 22), (slice(3, 17), slice(4, 24), slice(0, 16))
    values = []
    for _ in range(folds):
        logits = torch.randn(2, 14, 20, 16).half()
        logits[1] -= 3
        logits[1, 3:11, 3:20, 0:12] += 3
        values.append(logits)
    part = FoldLogits(values, box, shape)
    properties = {
        "spacing": [6.0, 7.0, 4.0],
        "shape_before_cropping": (27, 18, 28),
        "bbox_used_for_cropping": [[0, 27], [1, 18], [0, 28]],
        "shape_after_cropping_and_before_resampling": (27, 17, 28),
    }
    seen = Preprocessed(torch.zeros(1, *shape), properties)
    found, expected = (export(each, seen, predictor, femur=(1,)) for each in (part, part.filled()))
    assert 200 < found.mask_zyx.sum() < 0.3 * found.mask_zyx.size
    assert np.array_equal(found.mask_zyx, expected.mask_zyx)
    assert found.disagreement == expected.disagreement
