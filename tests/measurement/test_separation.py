"""Bones of a mask: two femurs, a broken one, fragments."""

import numpy as np
import pytest

from nnunet_femur.measurement.separation import separate_bones
from tests.measurement.solids import grid_of

SHAPE = (100, 20, 60)


def _mask(*boxes):
    mask = np.zeros(SHAPE, np.uint8)
    for z, y, x in boxes:
        mask[slice(*z), slice(*y), slice(*x)] = 1
    return mask


LEG = ((5, 95), (5, 15), (5, 15))
OTHER = ((10, 90), (5, 15), (40, 50))


def test_two_bones_side_by_side_the_larger_first():
    bones = separate_bones(_mask(OTHER, LEG), grid_of(SHAPE, 4.0))
    assert [int(bone.sum()) for bone in bones] == [9000, 8000]
    assert all(bone.dtype == bool and bone.shape == SHAPE for bone in bones)


def test_stubs_that_are_wider_than_long_are_two_bones():
    stubs = ((80, 95), (5, 15), (2, 26)), ((82, 95), (5, 15), (34, 58))
    assert [int(bone.sum()) for bone in separate_bones(_mask(*stubs), grid_of(SHAPE, 4.0))] == [3600, 3120]


def test_pieces_behind_one_another_are_one_broken_bone():
    upper, lower = ((5, 45), (5, 15), (5, 15)), ((50, 95), (5, 15), (6, 16))
    (bone,) = separate_bones(_mask(upper, lower), grid_of(SHAPE, 4.0))
    assert bone.sum() == 4000 + 4500


def test_fragments_are_left_out():
    (bone,) = separate_bones(_mask(LEG, ((50, 52), (0, 2), (55, 58))), grid_of(SHAPE, 4.0))
    assert bone.sum() == 9000


def test_a_corner_connects():
    (bone,) = separate_bones(_mask(LEG, ((95, 97), (15, 17), (15, 17))), grid_of(SHAPE, 4.0))
    assert bone.sum() == 9000 + 8


@pytest.mark.parametrize("values", [np.zeros(SHAPE), np.zeros((0, 4, 4))])
def test_an_empty_mask_has_no_bone(values):
    assert separate_bones(values, grid_of(values.shape)) == []
