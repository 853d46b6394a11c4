"""Measurements that no femur has, two femurs that are not of one person, and ends that are missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnunet_femur.measurement.femur_measurements import FemurMeasurements, Missing
from nnunet_femur.measurement.landmarks import Anatomy, DistalFemur, Sphere
from nnunet_femur.measurement.quantities import QUANTITIES
from nnunet_femur.prediction.anatomy_checks import (
    LIMITS,
    check_anatomy,
    check_completeness,
    check_pair,
    check_protrusions,
    has_end,
    is_whole,
)
from tests.refusing import names

TYPICAL = {
    "head_radius_mm": 23.5,
    "head_fit_rms_mm": 0.45,
    "head_covered_percent": 63.0,
    "neck_width_min_mm": 28.0,
    "neck_shaft_angle_deg": 123.0,
    "version_neck_deg": 11.0,
    "version_murphy_deg": 24.0,
    "anatomical_mechanical_angle_deg": 6.5,
    "mldfa_deg": 86.0,
    "aldfa_deg": 79.0,
    "condylar_axis_angle_deg": -1.0,
    "offset_mm": 44.5,
    "length_longest_mm": 453.0,
    "length_bicondylar_mm": 448.0,
    "length_mechanical_mm": 418.0,
    "bow_anterior_mm": 9.0,
    "isthmus_diameter_mm": 26.9,
    "shaft_area_mid_mm2": 584.0,
    "surface_area_cm2": 620.0,
    "volume_ml": 518.0,
}
"""About the means of 50 adult femurs."""

PROXIMAL = ("head_radius_mm", "head_fit_rms_mm", "head_covered_percent", "neck_width_min_mm", "surface_area_cm2")
"""Quantities of a proximal part."""

Z = np.array([0.0, 0.0, 1.0])


def _femur(
    side: str = "left",
    *,
    keys: tuple[str, ...] = tuple(TYPICAL),
    missing: dict[str, str] | None = None,
    up: float = 1.0,
    **changed: float,
) -> FemurMeasurements:
    values = {key: value for key, value in (TYPICAL | changed).items() if key in (*keys, "volume_ml")}
    head = Sphere(np.zeros(3), values["head_radius_mm"]) if "head_radius_mm" in values else None
    reasons = {key: Missing(code, f"The reason {code}.") for key, code in (missing or {}).items()}
    anatomy = Anatomy(None, up=None if head is None else up * Z, head=head)
    return FemurMeasurements("L001", side, "shape", values, reasons, anatomy=anatomy)


def _codes(findings) -> list[str]:
    return [found.code for found in findings]


class TestCheckAnatomy:
    def test_a_typical_femur(self) -> None:
        assert check_anatomy(_femur()) == []

    @pytest.mark.parametrize(
        ("key", "value", "code"),
        [
            ("head_radius_mm", 17.5, "proportions"),
            ("length_longest_mm", 340.0, "proportions"),
            ("length_longest_mm", 466.0, "proportions"),
            ("neck_width_min_mm", 18.0, "proportions"),
            ("volume_ml", 330.0, "proportions"),
            ("volume_ml", 800.0, "proportions"),
            ("surface_area_cm2", 800.0, "proportions"),
            ("neck_shaft_angle_deg", 80.0, "angles"),
            ("neck_shaft_angle_deg", 170.0, "angles"),
            ("version_neck_deg", 75.0, "angles"),
            ("mldfa_deg", 70.0, "angles"),
            ("condylar_axis_angle_deg", 12.0, "angles"),
            ("bow_anterior_mm", -9.0, "angles"),
        ],
    )
    def test_a_number_that_no_femur_has(self, key: str, value: float, code: str) -> None:
        found = check_anatomy(_femur(**{key: value}))
        assert code in _codes(found)
        assert all(names(each.problem, "left femur") and each.problem.endswith(".") for each in found)

    @pytest.mark.parametrize(
        ("medial", "lateral", "codes"),
        [
            ((20.0, 0.3), (20.5, 0.28), []),
            ((20.0, 0.1), (20.5, 0.28), ["proportions"]),
            ((20.0, 0.3), (20.5, 0.1), ["proportions"]),
            ((30.0, 0.3), (20.0, 0.3), ["proportions"]),
            ((13.0, 0.3), (20.0, 0.3), ["proportions"]),
        ],
    )
    def test_condyles(self, medial: tuple[float, float], lateral: tuple[float, float], codes: list[str]) -> None:
        spheres = [Sphere(np.zeros(3), radius, 0.6, covered) for radius, covered in (medial, lateral)]
        femur = _femur()
        distal = DistalFemur(*[np.zeros(3)] * 4, *spheres, *[np.zeros(3)] * 6)
        assert _codes(check_anatomy(replace(femur, anatomy=replace(femur.anatomy, distal=distal)))) == codes

    def test_what_is_unusual_is_plausible(self) -> None:
        # Published extremes of neck-shaft angle and version, and the largest and smallest of 50 femurs.
        for changed in (
            {"neck_shaft_angle_deg": 100.0, "version_neck_deg": -23.6},
            {"neck_shaft_angle_deg": 146.0, "version_neck_deg": 48.7},
            {"mldfa_deg": 92.9, "condylar_axis_angle_deg": 5.0, "bow_anterior_mm": 13.3},
        ):
            assert check_anatomy(_femur(**changed)) == []

    def test_several_numbers_of_one_kind_are_one_finding(self) -> None:
        (found,) = check_anatomy(_femur(mldfa_deg=70.0, neck_shaft_angle_deg=170.0))
        assert names(found.problem, QUANTITIES["mldfa_deg"].label, QUANTITIES["neck_shaft_angle_deg"].label, 170)

    def test_a_part_is_judged_by_what_it_has(self) -> None:
        assert check_anatomy(_femur(keys=PROXIMAL, volume_ml=120.0)) == []
        assert _codes(check_anatomy(_femur(keys=PROXIMAL, head_radius_mm=12.0))) == ["proportions"]
        assert check_anatomy(_femur(keys=())) == []

    def test_a_size_alone_changes_nothing(self) -> None:
        # A femur of 0.85 of the size: lengths, areas and volumes with their powers.
        power = {"mm": 1, "mm2": 2, "cm2": 2, "ml": 3}
        small = {key: value * 0.85 ** power.get(QUANTITIES[key].unit, 0) for key, value in TYPICAL.items()}
        assert check_anatomy(_femur(**small)) == []

    def test_not_a_number_is_no_finding(self) -> None:
        assert check_anatomy(_femur(isthmus_diameter_mm=float("nan"))) == []

    def test_limits_contain_the_normal_range(self) -> None:
        """Each limit of a single quantity is at least as wide as the range of 95 % of adults."""
        by_label = {quantity.label: quantity for quantity in QUANTITIES.values()}
        ranges = [(limit, by_label[limit.label].normal) for limit in LIMITS if limit.label in by_label]
        assert len(ranges) >= 8
        for limit, normal in ranges:
            assert normal is None or limit.low <= normal[0] < normal[1] <= limit.high, limit.label


class TestCheckPair:
    def test_alike(self) -> None:
        other = _femur("right", head_radius_mm=23.9, length_longest_mm=447.0, neck_shaft_angle_deg=128.0)
        assert check_pair(_femur(), other) == []

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("head_radius_mm", 20.0),
            ("length_longest_mm", 410.0),
            ("neck_shaft_angle_deg", 142.0),
            ("volume_ml", 380.0),
            ("version_neck_deg", 45.0),
        ],
    )
    def test_different(self, key: str, value: float) -> None:
        (found,) = check_pair(_femur(), _femur("right", **{key: value}))
        assert found.code == "legs-differ"
        assert names(found.problem, QUANTITIES[key].label, f"{TYPICAL[key]:.3g}", f"{value:.3g}")

    def test_of_parts_the_volume_is_not_compared(self) -> None:
        part = _femur("right", keys=PROXIMAL, volume_ml=200.0)
        assert check_pair(_femur(), part) == []


class TestCompleteness:
    WHOLE = _femur()
    PROXIMAL = _femur(keys=PROXIMAL, missing={"length_mechanical_mm": "distal-end-cut"})
    HEADLESS = _femur(keys=(), missing={"head_radius_mm": "head-missing", "length_mechanical_mm": "head-missing"})

    def test_whole(self) -> None:
        assert is_whole(self.WHOLE.values)
        assert [has_end(each) for each in (self.WHOLE, self.PROXIMAL, self.HEADLESS)] == [True, True, False]
        assert check_completeness(self.WHOLE, (), 450.0) == []

    def test_an_end_is_missing_within_the_volume(self) -> None:
        assert _codes(check_completeness(self.PROXIMAL, (), 300.0)) == ["end-not-found"]
        assert _codes(check_completeness(self.HEADLESS, (), 300.0)) == ["head-not-found"]

    @pytest.mark.parametrize("code", ["two-bones", "not-femur", "too-short", "too-small"])
    def test_another_shape(self, code: str) -> None:
        odd = _femur(keys=(), missing={"head_radius_mm": code, "length_mechanical_mm": code})
        assert _codes(check_completeness(odd, (), 90.0)) == ["not-one-femur"]
        assert _codes(check_completeness(odd, ("superior",), 300.0)) == ["not-one-femur"]
        assert check_completeness(odd, ("inferior",), 54.0) == [], "the CT shows a short part"

    def test_an_end_that_the_field_of_view_cuts_off_is_not_missing(self) -> None:
        assert check_completeness(self.PROXIMAL, ("inferior",), 300.0) == []
        assert check_completeness(self.HEADLESS, ("superior",), 300.0) == []
        assert check_completeness(self.HEADLESS, ("left",), 300.0) == []

    def test_a_cut_at_the_other_end_does_not_explain_it(self) -> None:
        assert _codes(check_completeness(self.PROXIMAL, ("superior",), 300.0)) == ["end-not-found"]
        assert _codes(check_completeness(self.HEADLESS, ("inferior",), 300.0)) == ["head-not-found"]

    def test_upside_down(self) -> None:
        femur = _femur(keys=PROXIMAL, up=-1.0, missing={"length_mechanical_mm": "distal-end-cut"})
        assert check_completeness(femur, ("superior",), 300.0) == []
        assert _codes(check_completeness(femur, ("inferior",), 300.0)) == ["end-not-found"]

    def test_the_reason_is_in_the_text(self) -> None:
        (found,) = check_completeness(self.PROXIMAL, (), 300.0)
        assert names(found.problem, "reason distal-end-cut")

    def test_a_protrusion_is_not_a_missing_end(self) -> None:
        missing = {"length_longest_mm": "head-protrusion", "length_bicondylar_mm": "head-protrusion"}
        keys = tuple(key for key in TYPICAL if key not in missing)
        femur = _femur(keys=keys, missing=missing)
        assert is_whole(femur.values)
        assert check_completeness(femur, (), 450.0) == []
        assert _codes(check_protrusions(femur)) == ["protrusion"]
        assert check_protrusions(self.WHOLE) == check_protrusions(self.HEADLESS) == []
