"""A phantom in its CT: every quantity has a value or a reason, whichever way the volume is stored or cut."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging import AxisOrder, Geometry
from nnunet_femur.measurement.density.calibration import Calibration
from nnunet_femur.measurement.density.ct_measuring import measure_ct
from nnunet_femur.measurement.density.ct_quantities import CT_QUANTITIES
from nnunet_femur.measurement.measuring import measure_mask
from nnunet_femur.testing import make_phantom
from nnunet_femur.testing.anatomy import draw_leg
from tests.refusing import refused

if TYPE_CHECKING:
    from nnunet_femur.measurement.femur_measurements import FemurMeasurements

SEED = 2


class Case:
    """A phantom, its mask, and the measurements of the mask."""

    def __init__(self) -> None:
        phantom = make_phantom(SEED, size_zyx=(160, 72, 72), spacing_mm_zyx=(3.0, 1.8, 1.8))
        self.ct = sitk.GetArrayFromImage(phantom.image)
        self.mask = sitk.GetArrayFromImage(phantom.mask)
        self.geometry = Geometry.of(phantom.image)
        self.femur = measure_mask(self.mask, self.geometry, case="L1")
        self.values, self.missing, self.findings = self.measured()

    def measured(self, *, femur: FemurMeasurements | None = None, **changes: Any) -> Any:
        ct, mask = changes.get("ct", self.ct), changes.get("mask", self.mask)
        geometry = changes.get("geometry", self.geometry)
        return measure_ct(ct, mask, geometry, femur or self.femur, calibration=changes.get("calibration"))

    def without(self, **landmarks: None) -> FemurMeasurements:
        assert self.femur.anatomy is not None
        return replace(self.femur, anatomy=replace(self.femur.anatomy, **landmarks))


@pytest.fixture(scope="module")
def case() -> Case:
    return Case()


class TestWholeFemur:
    def test_every_quantity_has_a_value_or_a_reason(self, case: Case) -> None:
        assert {*case.values, *case.missing} == set(CT_QUANTITIES)
        assert not {*case.values} & {*case.missing}
        order = list(CT_QUANTITIES)
        assert list(case.values) == sorted(case.values, key=order.index)
        assert list(case.missing) == sorted(case.missing, key=order.index)

    def test_only_density_is_missing(self, case: Case) -> None:
        assert {reason.code for reason in case.missing.values()} == {"no-calibration"}
        assert not case.findings
        assert case.values["metal_volume_ml"] == 0

    def test_parts_make_up_the_bone(self, case: Case) -> None:
        parts = ("head", "neck", "trochanter", "shaft", "condyles")
        volume_ml = case.mask.sum() * case.geometry.voxel_volume_ml
        assert sum(case.values[f"volume_{part}_ml"] for part in parts) == pytest.approx(volume_ml)
        counted = sum(case.values[f"hu_mean_{part}"] * case.values[f"voxels_{part}"] for part in parts)
        assert counted / case.values["voxels"] == pytest.approx(case.values["hu_mean"])
        assert case.values["hu_mean"] == pytest.approx(case.ct[case.mask > 0].mean())

    def test_head_is_a_cap_of_its_sphere(self, case: Case) -> None:
        """The part of a sphere of radius R beyond a plane at 0.5 R from its centre has the volume 27/24 pi R^3.

        The phantom's neck blends into the head, which adds a few percent.
        """
        leg = draw_leg(np.random.default_rng(SEED))
        expected_ml = 27 / 24 * np.pi * leg.head_radius_mm**3 / 1000
        assert case.values["volume_head_ml"] == pytest.approx(expected_ml, rel=0.1)

    @pytest.mark.parametrize(("percent", "height"), [(40, 0.6), (50, 0.5), (60, 0.4)])
    def test_cortex_is_that_of_the_phantom(self, case: Case, percent: int, height: float) -> None:
        """Its thickness is defined by an approximate distance to its surface, along the height."""
        heights, thickness_mm = [0.25, 0.35, 0.5, 0.65, 0.75], [4.2, 5.8, 6.8, 6.4, 5.2]
        leg = draw_leg(np.random.default_rng(SEED))
        expected_mm = np.interp(height, heights, thickness_mm) * leg.cortex_scale
        assert case.values[f"cortical_thickness_{percent}_mm"] == pytest.approx(expected_mm, abs=0.25)

    def test_density(self, case: Case) -> None:
        values, missing, _ = case.measured(calibration=Calibration(0.8, -2))
        assert not missing
        for part in ("", "_head", "_condyles"):
            assert values[f"bmd_mean{part}_mg_cm3"] == pytest.approx(0.8 * values[f"hu_mean{part}"] - 2)


class TestStorage:
    def test_order_and_direction_of_the_axes_do_not_matter(self, case: Case) -> None:
        order = AxisOrder((2, 0, 1), (True, False, True))
        turned = {"ct": order.of_array(case.ct), "mask": order.of_array(case.mask)}
        values, _, _ = case.measured(geometry=order.of_geometry(case.geometry), **turned)
        assert values == pytest.approx(case.values, rel=1e-3, abs=1e-3)

    def test_a_rotated_patient(self, case: Case) -> None:
        turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
        turn *= np.linalg.det(turn)
        grid = case.geometry
        direction = turn @ np.reshape(grid.direction, (3, 3))
        origin = tuple(float(each) for each in turn @ grid.origin_mm_xyz)
        turned = replace(grid, origin_mm_xyz=origin, direction=tuple(float(each) for each in direction.ravel()))
        values, _, _ = case.measured(geometry=turned, femur=measure_mask(case.mask, turned))
        # A voxel at the border of two parts may change sides.
        assert values == pytest.approx(case.values, rel=0.02)

    def test_floating_point(self, case: Case) -> None:
        assert case.measured(ct=case.ct.astype(np.float32))[0] == pytest.approx(case.values)

    def test_other_grids_are_refused(self, case: Case) -> None:
        with refused("grid-differs", "L1"):
            case.measured(ct=case.ct[1:])


class TestMissing:
    def test_distal_end(self, case: Case) -> None:
        """All that a femur without its distal end has is the same as in the whole one."""
        values, missing, _ = case.measured(femur=case.without(distal=None))
        lost = [key for key in CT_QUANTITIES if "_shaft" in key.replace("upper_shaft", "") or "_condyles" in key]
        lost += [key for key in case.values if any(f"_{level}" in key for level in (30, 40, 50, 60, 70))]
        assert {key for key, reason in missing.items() if reason.code == "distal-end-missing"} == set(lost)
        assert values == {key: value for key, value in case.values.items() if key not in lost}

    def test_a_cut_mask(self, case: Case) -> None:
        """The lower half is cut off from mask and CT; what remains of the parts is as before."""
        half = slice(80, None)
        shift = case.geometry.steps_mm[:, 2] * 80
        grid = replace(
            case.geometry,
            size_xyz=(*case.geometry.size_xyz[:2], 80),
            origin_mm_xyz=tuple(float(each) for each in case.geometry.origin_mm_xyz + shift),
        )
        femur = case.without(distal=None)
        values, _, _ = case.measured(ct=case.ct[half], mask=case.mask[half], geometry=grid, femur=femur)
        for key in ("hu_mean_head", "hu_median_trochanter", "hu_sd_upper_shaft", "cortical_thickness_5r_mm"):
            assert values[key] == pytest.approx(case.values[key], rel=1e-6)

    def test_landmarks(self, case: Case) -> None:
        values, missing, _ = case.measured(femur=replace(case.femur, anatomy=None))
        assert set(values) == {key for key in CT_QUANTITIES if key.startswith("hu_") and key.count("_") < 2} | {
            *("hu_mean_interior", "hu_mean_shell", "voxels", "metal_volume_ml")
        }
        assert missing["hu_mean_head"].code == "head-missing"

    def test_reasons_are_those_of_the_mask(self, case: Case) -> None:
        reason = case.missing["bmd_mean_mg_cm3"]
        femur = replace(case.without(head=None), missing={"head_center_mm_lps": reason})
        assert case.measured(femur=femur)[1]["hu_mean_neck"] is reason

    def test_empty_mask(self, case: Case) -> None:
        values, missing, _ = case.measured(mask=np.zeros_like(case.mask))
        assert not values
        assert {reason.code for reason in missing.values()} == {"empty-mask"}

    def test_metal_in_a_cross_section(self, case: Case) -> None:
        inside = np.argwhere(case.mask[80])
        y, x = np.rint(inside.mean(0)).astype(int)
        ct = case.ct.copy()
        ct[79:82, y - 1 : y + 2, x - 1 : x + 2] = 3071
        values, missing, findings = case.measured(ct=ct)
        assert missing["cortical_area_50_mm2"].code == "metal"
        assert values["cortical_area_30_mm2"] == pytest.approx(case.values["cortical_area_30_mm2"])
        assert values["hu_mean_head"] == pytest.approx(case.values["hu_mean_head"])
        assert values["voxels_shaft"] < case.values["voxels_shaft"]
        assert values["metal_volume_ml"] == pytest.approx(27 * case.geometry.voxel_volume_ml)
        assert [each.code for each in findings] == ["metal"]

    def test_values_that_are_not_hu(self, case: Case) -> None:
        """Another modality, whose values are all positive."""
        values, missing, findings = case.measured(ct=np.abs(case.ct) + np.int16(10))
        assert not values
        assert {reason.code for reason in missing.values()} == {findings[0].code} == {"image-positive"}

    @pytest.mark.parametrize(("low", "high", "kept"), [(-200, 400, False), (-1000, 1200, False), (-300, 3000, True)])
    def test_values_that_were_clipped(self, case: Case, low: int, high: int, *, kept: bool) -> None:
        """A window below the values of bone; soft tissue that was clipped does not matter."""
        values, missing, findings = case.measured(ct=np.clip(case.ct, low, high))
        assert "image-windowed" in [each.code for each in findings]
        assert bool(values) is kept
        if not kept:
            assert {reason.code for reason in missing.values()} == {"image-windowed"}

    def test_values_without_numbers_are_left_out(self, case: Case) -> None:
        ct = case.ct.astype(np.float32)
        top = np.argwhere(case.mask)[-40:]
        ct[tuple(top.T)] = np.nan
        values, _, findings = case.measured(ct=ct)
        assert values["voxels"] == case.values["voxels"] - 40
        assert [each.code for each in findings] == ["mask-padding"]
