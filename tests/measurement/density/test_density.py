"""Statistics of two parts of a few voxels, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.measurement.density.bone_parts import HEAD, NECK, BoneParts
from nnunet_femur.measurement.density.calibration import Calibration
from nnunet_femur.measurement.density.density import density_values, outermost
from nnunet_femur.measurement.femur_measurements import Missing

ABSENT = Missing("cut", "is cut.")
OTHERS = dict.fromkeys(("trochanter", "upper_shaft", "shaft", "condyles"), ABSENT)
NOTHING = np.zeros(50, bool)

# Head: 15 interior voxels of 300 HU and 15 outermost of 100 HU; neck: 10 and 10 of 0, 10, ..., 190 HU.
HU = np.concatenate([np.full(15, 300), np.full(15, 100), np.arange(0, 200, 10)]).astype(np.int16)
SHELL = np.concatenate([np.zeros(15), np.ones(15), np.zeros(10), np.ones(10)]).astype(bool)
PARTS = BoneParts(np.repeat([HEAD, NECK], [30, 20]).astype(np.uint8), OTHERS)


def _values(
    excluded: dict[str, np.ndarray] | None = None, calibration: Calibration | None = None
) -> tuple[dict[str, float], dict[str, Missing]]:
    lost = {"metal": NOTHING, "padding": NOTHING} | (excluded or {})
    return density_values(HU, SHELL, lost, PARTS, voxel_ml=0.002, calibration=calibration)


class TestValues:
    def test_of_parts(self) -> None:
        values, missing = _values()
        assert values["hu_mean_head"] == pytest.approx(200)
        assert values["hu_median_head"] == pytest.approx(200)
        assert values["hu_sd_head"] == pytest.approx(100 * (30 / 29) ** 0.5)
        assert (values["hu_mean_interior_head"], values["hu_mean_shell_head"]) == pytest.approx((300, 100))
        assert (values["volume_head_ml"], values["voxels_head"]) == pytest.approx((0.06, 30))
        assert values["hu_mean_neck"] == pytest.approx(95)
        assert (values["hu_mean_interior_neck"], values["hu_mean_shell_neck"]) == pytest.approx((45, 145))
        assert missing["hu_mean_shaft"] is missing["volume_condyles_ml"] is ABSENT

    def test_of_the_whole_femur(self) -> None:
        values, _ = _values()
        assert values["hu_mean"] == pytest.approx((30 * 200 + 20 * 95) / 50)
        assert values["voxels"] == 50
        assert "volume_ml" not in values

    def test_every_key_has_a_value_or_a_reason(self) -> None:
        values, missing = _values()
        assert not set(values) & set(missing)
        assert len(set(values) | set(missing)) == 7 * 9 - 1


class TestExcludedVoxels:
    def test_are_not_counted_but_are_part_of_the_volume(self) -> None:
        metal = NOTHING.copy()
        metal[15:20] = True
        values, _ = _values({"metal": metal})
        assert values["hu_mean_head"] == pytest.approx((15 * 300 + 10 * 100) / 25)
        assert (values["volume_head_ml"], values["voxels_head"]) == pytest.approx((0.06, 25))
        assert values["hu_mean_neck"] == pytest.approx(95)

    def test_of_two_kinds(self) -> None:
        metal, padding = NOTHING.copy(), NOTHING.copy()
        metal[0:3], padding[2:5] = True, True
        assert _values({"metal": metal, "padding": padding})[0]["voxels_head"] == 25

    @pytest.mark.parametrize("kind", ["metal", "padding"])
    def test_in_most_of_a_part(self, kind: str) -> None:
        lost = NOTHING.copy()
        lost[:16] = True
        values, missing = _values({kind: lost})
        assert missing["hu_mean_head"].code == missing["hu_sd_head"].code == kind
        assert missing["bmd_mean_head_mg_cm3"].code == kind
        assert "hu_mean_neck" in values
        assert values["voxels_head"] == 14

    def test_that_leave_no_interior(self) -> None:
        metal = NOTHING.copy()
        metal[:6] = True
        values, missing = _values({"metal": metal})
        assert missing["hu_mean_interior_head"].code == "too-few-voxels"
        assert values["hu_mean_head"] == pytest.approx((9 * 300 + 15 * 100) / 24)


class TestCalibration:
    def test_is_applied_to_means(self) -> None:
        values, missing = _values(calibration=Calibration(0.8, -2))
        assert values["bmd_mean_head_mg_cm3"] == pytest.approx(158)
        assert values["bmd_mean_interior_head_mg_cm3"] == pytest.approx(238)
        assert values["bmd_mean_mg_cm3"] == pytest.approx(0.8 * 158 - 2)
        assert {each.code for each in missing.values()} == {"cut"}

    def test_without_one_there_is_no_density(self) -> None:
        values, missing = _values()
        assert not [key for key in values if "mg_cm3" in key]
        assert missing["bmd_mean_head_mg_cm3"].code == missing["bmd_mean_mg_cm3"].code == "no-calibration"


class TestOutermost:
    def test_has_a_face_outside(self) -> None:
        """A cube of 4 voxels has 4^3 - 2^3 outermost ones."""
        mask = np.zeros((8, 8, 8), bool)
        mask[2:6, 2:6, 2:6] = True
        shell = outermost(mask)
        assert shell.sum() == 56
        assert not shell[3:5, 3:5, 3:5].any()

    def test_at_the_border_of_the_volume_nothing_is_known(self) -> None:
        mask = np.zeros((4, 5, 5), bool)
        mask[:, 1:4, 1:4] = True
        assert outermost(mask).sum() == 4 * 8

    def test_around_a_hole(self) -> None:
        mask = np.ones((5, 5, 5), bool)
        mask[2, 2, 2] = False
        assert outermost(mask).sum() == 6
