"""The long axis and the regions, on bones whose parts are known."""

import numpy as np
import pytest

from nnunet_femur.evaluation import METRICS, PROFILE_BINS, REGIONS, Bone, score_case
from nnunet_femur.evaluation.regions import PARTS, end_slices, part_of, surfels_in_region


def _rod(length: int = 40) -> np.ndarray:
    """A box of 2 x 2 voxels across and `length` along z, from slice 3 on."""
    mask = np.zeros((length + 8, 6, 7), dtype=bool)
    mask[3 : 3 + length, 2:4, 3:5] = True
    return mask


class TestAxis:
    def test_an_upright_rod(self):
        axis = Bone(_rod(), (2.0, 1.0, 1.0)).axis
        z = np.array([3, 42, 22.5, -6])
        assert axis.position(z, np.full(4, 2.5), np.full(4, 3.5)) == pytest.approx([0, 1, 0.5, -9 / 39])

    @pytest.mark.parametrize(("axis", "leads_to"), [(0, "superior"), (1, "anterior"), (2, "right")])
    def test_the_proximal_end_is_the_superior_the_anterior_or_the_right_one(self, axis, leads_to):
        mask = np.moveaxis(_rod(), 0, axis)
        positions = Bone(mask, (1.0, 1.0, 1.0)).axis.position(*np.nonzero(mask))
        along = np.nonzero(mask)[axis]
        assert positions[along.argmax()] == pytest.approx(1), leads_to

    def test_the_axis_is_that_of_millimetres_not_voxels(self):
        mask = np.zeros((12, 6, 22), dtype=bool)
        mask[1:11, 2:4, 1:21] = True  # 10 slices of 5 mm against 20 columns of 1 mm.
        bone = Bone(mask, (5.0, 1.0, 1.0))
        assert abs(bone.axis.weights_per_voxel[0]) > 10 * abs(bone.axis.weights_per_voxel[2])

    def test_a_leaning_bone(self, long_bone):
        axis = Bone(long_bone, (2.0, 1.0, 1.0)).axis
        positions = axis.position(*np.nonzero(long_bone))
        assert positions.min() == pytest.approx(0, abs=1e-12)
        assert positions.max() == pytest.approx(1, abs=1e-12)
        # It leans to anterior by 1/12 mm and to the right by 1/10 mm per slice of 2 mm.
        z, y, x = axis.weights_per_voxel
        assert (y / z * 2, x / z * 2) == pytest.approx((1 / 24, 1 / 20), rel=0.1)

    def test_no_axis_without_a_voxel_and_one_voxel_is_the_shaft(self):
        mask = np.zeros((3, 3, 3), dtype=bool)
        assert Bone(mask, (1, 1, 1)).axis is None
        mask[1, 1, 1] = True
        assert Bone(mask, (1, 1, 1)).axis.position(np.array([1]), np.array([1]), np.array([1])) == [0]


class TestParts:
    def test_quarters_and_slices_beyond_them(self):
        positions = np.array([-1, 0, 0.2499, 0.25, 0.75, 0.7501, 1, 2])
        assert [PARTS[part] for part in part_of(positions)] == ["distal"] * 3 + ["shaft"] * 2 + ["proximal"] * 3

    def test_by_hand(self, scored):
        reference = _rod(40)
        prediction = reference.copy()
        prediction[33:36] = False  # Three slices of the proximal quarter.
        prediction[2, 2:4, 3:5] = True  # One slice beyond the distal end.
        found = scored(reference, prediction, (2.0, 1.0, 1.0))
        # Positions are (z - 3) / 39: distal up to slice 12, shaft 13 to 32, proximal from 33.
        volume = {region: found["volume", "all", region, "truth_volume"] * 1000 / 8 for region in REGIONS}
        assert volume == pytest.approx({"whole": 40, "distal": 10, "shaft": 20, "proximal": 10, "ends": 40})
        assert found["volume", "all", "shaft", "dice"] == 1
        assert found["volume", "all", "proximal", "dice"] == pytest.approx(2 * 7 / 17)
        assert found["volume", "all", "distal", "dice"] == pytest.approx(2 * 10 / 21)
        assert found["volume", "all", "ends", "dice"] == pytest.approx(2 * 37 / 77)  # Slices of reference only.
        assert found["volume", "all", "shaft", "hd"] < found["volume", "all", "proximal", "hd"]
        assert found["slices", "axial", "proximal", "slices"] == 10
        assert found["slices", "axial", "proximal", "dice"] == pytest.approx(0.7)
        assert found["slices", "axial", "proximal", "prediction_empty"] == 3
        assert found["slices", "axial", "distal", "truth_empty"] == 1
        assert found["slices", "sagittal", "shaft", "dice"] == 1

    def test_the_parts_make_up_the_whole(self, long_bone, scored, blobs):
        prediction = long_bone & blobs(3, long_bone.shape, 0.8)
        found = scored(long_bone, prediction, (2.0, 0.7, 0.7))
        for volume in ("truth_volume", "prediction_volume"):
            parts = sum(found["volume", "all", part, volume] for part in PARTS)
            assert parts == pytest.approx(found["volume", "all", "whole", volume])

    def test_a_region_that_was_missed_is_a_miss(self, scored):
        reference = _rod(40)
        prediction = reference.copy()
        prediction[33:] = False
        found = scored(reference, prediction)
        assert found["volume", "all", "proximal", "prediction_empty"] == 1
        assert found["volume", "all", "proximal", "dice"] == found["volume", "all", "proximal", "nsd3"] == 0
        assert found["volume", "all", "proximal", "hd"] == pytest.approx(np.linalg.norm(reference.shape))

    def test_every_metric_in_every_region(self, long_bone, scored):
        found = scored(long_bone, long_bone)
        for region in REGIONS:
            for name, metric in METRICS.items():
                assert found["volume", "all", region, name] == metric.ideal


class TestEnds:
    def test_the_first_and_last_twenty_slices_with_reference(self):
        reference = np.zeros(100, dtype=int)
        reference[10:60] = 1
        reference[[12, 55]] = 0  # Gaps do not count.
        assert np.flatnonzero(end_slices(reference)).tolist() == [
            10, 11, *range(13, 31), *range(39, 55), *range(56, 60)
        ]  # fmt: skip

    def test_a_short_bone_is_all_ends(self):
        reference = np.zeros(50, dtype=int)
        reference[5:30] = 1
        assert np.flatnonzero(end_slices(reference)).tolist() == list(range(5, 30))

    def test_slices_of_the_ends(self, scored):
        reference = _rod(60)
        prediction = reference.copy()
        prediction[30:36] = False  # In the middle, where it does not matter.
        prediction[4] = False  # In the first slices, where it does.
        found = scored(reference, prediction)
        assert found["slices", "axial", "ends", "slices"] == 40
        assert found["slices", "axial", "ends", "dice"] == pytest.approx(39 / 40)
        assert found["paper", "axial", "ends", "slices"] == 39
        assert found["volume", "all", "ends", "recall"] == pytest.approx(39 / 40)

    def test_a_surfel_belongs_to_the_ends_if_either_slice_beside_it_does(self):
        mask = _rod(10)
        bone = Bone(mask, (1.0, 1.0, 1.0))
        in_ends = np.zeros(mask.shape[0], dtype=bool)
        in_ends[3:5] = True
        held = surfels_in_region("ends", bone.surface.corners, bone.axis, in_ends)
        assert {*bone.surface.corners[held, 0].tolist()} == {3, 4, 5}


def test_profile_along_the_axis():
    reference = _rod(50)
    prediction = reference.copy()
    prediction[3:8] = False
    prediction[53] = reference[52]  # Beyond the proximal end.
    profile = score_case(Bone(reference, (1.0, 1.0, 1.0)), Bone(prediction, (1.0, 1.0, 1.0))).profile
    assert profile.reference.sum() == reference.sum()
    assert profile.prediction.sum() == prediction.sum()
    assert profile.reference.size == PROFILE_BINS
    assert profile.dice[:5].tolist() == [0] * 5
    assert profile.dice[5:49].tolist() == [1] * 44
    assert profile.dice[49] == pytest.approx(2 * 4 / 12)


def test_regions_do_not_depend_on_the_place_of_the_bone(long_bone, scored, blobs):
    prediction = long_bone & blobs(4, long_bone.shape, 0.8)
    plain = scored(long_bone, prediction, (2.0, 0.7, 0.7), predicted_in_slices=True)
    moved = [np.pad(mask, ((3, 2), (5, 0), (1, 7))) for mask in (long_bone, prediction)]
    wide = scored(*moved, (2.0, 0.7, 0.7), predicted_in_slices=True)
    assert wide == pytest.approx(plain, abs=1e-12)
