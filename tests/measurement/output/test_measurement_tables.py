"""Rows and records of measurements: the same keys in every one, strict JSON, a reason for every gap."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import pytest

from nnunet_femur.kinds import finding
from nnunet_femur.measurement.femur_measurements import FemurMeasurements, Missing
from nnunet_femur.measurement.output.measurement_tables import (
    ALL_QUANTITIES,
    as_record,
    as_row,
    columns_of,
    csv_text,
    json_text,
    keys_of,
    number_text,
    reason_of,
)
from nnunet_femur.measurement.quantities import QUANTITIES
from tests.measurement.known_femur import REASON, VALUES, measurements

KEYS = tuple(QUANTITIES)
CODE = "not-sharp"


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


class TestRecord:
    def test_has_every_key_and_a_reason_for_every_gap(self) -> None:
        record = as_record(measurements(), KEYS)
        assert list(record) == ["case", "side", "side_source", *KEYS, "missing", "findings", "error"]
        assert {key for key in KEYS if record[key] is None} == record["missing"].keys() == set(KEYS) - set(VALUES)
        assert record["missing"]["offset_mm"] == {"code": CODE, "text": REASON.text}
        assert record["error"] is None

    def test_vectors_are_lists(self) -> None:
        assert as_record(measurements(), KEYS)["head_center_mm_lps"] == [46.0, -8.0, 425.0]

    @pytest.mark.parametrize("value", [math.nan, math.inf, (0.0, math.nan, 1.0)])
    def test_a_number_that_is_not_finite_is_missing(self, value: Any) -> None:
        key = "head_center_mm_lps" if isinstance(value, tuple) else "offset_mm"
        femur = FemurMeasurements("R1", "right", "shape", {key: value}, {})
        record = as_record(femur, (key,))
        assert record[key] is None
        assert record["missing"][key]["code"] == "not-finite"
        assert json.loads(json_text([record]), parse_constant=pytest.fail) == [record]

    def test_numbers_are_rounded_and_have_no_negative_zero(self) -> None:
        values = {"version_neck_deg": -0.000001, "neck_axis_lps": (0.12345678, -0.0000001, 1.0), "offset_mm": 1 / 3}
        record = as_record(FemurMeasurements("R1", "right", "shape", values, {}), tuple(values))
        assert [str(record[key]) for key in values] == ["0.0", "[0.123457, 0.0, 1.0]", "0.3333"]

    def test_findings_and_errors(self) -> None:
        found = finding("mask-side", "R1.nrrd", "is left.")
        record = as_record(measurements(findings=(found,)), KEYS, "R1.nrrd: no.")
        assert record["error"] == "R1.nrrd: no."
        assert [(each["code"], each["severity"]) for each in record["findings"]] == [("mask-side", "warning")]

    def test_an_unknown_key_is_left_out(self) -> None:
        """A later version may measure more than the table of this one contains."""
        femur = FemurMeasurements("R1", "right", "shape", {"volume_ml": 1.0, "of_the_future": 2.0}, {})
        assert keys_of([femur]) == ("volume_ml",)


class TestCsv:
    def test_has_a_column_for_each_coordinate(self) -> None:
        row = _rows(csv_text([as_row(measurements(), KEYS)], KEYS))[0]
        assert [row[f"head_center_mm_lps_{axis}"] for axis in "xyz"] == ["46.0", "-8.0", "425.0"]
        assert row["volume_ml"] == "512.3"
        assert row["offset_mm"] == row["neck_axis_lps_x"] == ""

    def test_names_the_reason_of_every_gap(self) -> None:
        row = _rows(csv_text([as_row(measurements(), KEYS)], KEYS))[0]
        reasons = dict(each.split(": ") for each in row["missing"].split("; "))
        assert reasons == dict.fromkeys(set(KEYS) - set(VALUES), CODE)

    def test_columns_are_the_same_with_and_without_values(self) -> None:
        empty = FemurMeasurements("R2", "unknown", "", {}, dict.fromkeys(KEYS, Missing("empty-mask", "No.")))
        rows = _rows(csv_text([as_row(each, KEYS) for each in (measurements(), empty)], KEYS))
        assert rows[0].keys() == rows[1].keys()
        assert list(rows[0]) == ["case", "side", "side_source", *columns_of(KEYS), "missing", "findings", "error"]

    def test_commas_and_quotes_of_a_name_survive(self) -> None:
        row = _rows(csv_text([as_row(measurements('a,"b"'), KEYS)], KEYS))[0]
        assert row["case"] == 'a,"b"'


class TestKeys:
    def test_those_of_the_ct_only_if_it_was_given(self) -> None:
        with_ct = measurements(values={**VALUES, "hu_mean": 300.0})
        assert keys_of([measurements()]) == KEYS
        assert keys_of([measurements(), with_ct]) == (*KEYS, "hu_mean")
        assert reason_of(measurements(), "hu_mean").code == "not-asked"

    def test_are_unique(self) -> None:
        assert len(columns_of(ALL_QUANTITIES)) == len(set(columns_of(ALL_QUANTITIES)))
        assert all(key == quantity.key for key, quantity in ALL_QUANTITIES.items())


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("neck_shaft_angle_deg", 124.96, "125.0"),
        ("version_neck_deg", -0.01, "0.0"),
        ("head_fit_rms_mm", 0.404, "0.40"),
        ("neck_area_mm2", 797.4, "797"),
        ("head_center_mm_lps", (1.0, -2.04, 3.0), "1.0, -2.0, 3.0"),
        ("offset_mm", None, "-"),
    ],
)
def test_numbers_for_people(key: str, value: Any, text: str) -> None:
    assert number_text(QUANTITIES[key], value) == text
