"""Tables of clinical measurements, from hand-worked errors."""

from __future__ import annotations

import pytest

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.report import _clinical_cautions
from nnunet_femur.comparison.report.report_data import ReportData
from nnunet_femur.comparison.report.tables.clinical_tables import clinical_tables
from tests.comparison.made import femur, measured_data

NSA = "neck_shaft_angle_deg"


def _tables(errors):
    """Tables of an angle that is 120 in all references; None for a prediction that cannot be measured."""
    data = measured_data(
        *(
            (method, f"L{case}", femur(**{NSA: 120.0}), femur(**({} if error is None else {NSA: 120.0 + error})))
            for method, of_method in errors.items()
            for case, error in enumerate(of_method)
        )
    )
    return {table.name: table for table in clinical_tables(data)}, data


def _cells(table, row):
    return {column.title: cell for column, cell in zip(table.columns, table.rows[row].cells, strict=True)}


def _rows(table):
    return [place for place, row in enumerate(table.rows) if row.label == "Neck-shaft angle (3D, °)"]


class TestClinicalMeasurements:
    def test_a_row_for_each_measurement_and_method(self):
        tables, _ = _tables({"A": [1.0, -2.0, 4.0], "B": [0.5, 0.5, None]})
        table = tables["clinical_test"]
        assert (table.section, table.place) == (sections.CLINICAL, "open")
        first, second = (_cells(table, row) for row in _rows(table))
        shown = ("Method", "Femurs: measured", "Not measurable: reference", "Not measurable: prediction")
        assert [str(first[name]) for name in shown] == ["A", "3 of 3", "0", "0"]
        assert [str(second[name]) for name in shown] == ["B", "2 of 3", "0", "1 (head-missing)"]
        # Mean 1, SD 3, limits 1 -+ 5.88; absolute errors 1, 2 and 4: mean 7/3, SD sqrt(7/3).
        assert str(first["Prediction − reference: bias"]) == "+1.00"
        assert str(first["Prediction − reference: limits of agreement"]) == "−4.88 to 6.88"
        assert str(first["Absolute error: mean ± SD"]) == "2.33 ± 1.53"
        assert first["Absolute error: largest"].value == 4
        assert first["Absolute error: mean ± SD"].value == pytest.approx(7 / 3)

    def test_several_reasons(self):
        data = measured_data(
            *(
                ("A", f"L{number}", femur(**{NSA: 120.0}), femur(reason=reason, **values))
                for number, (reason, values) in enumerate(
                    [("x", {NSA: 121.0}), ("head-missing", {}), ("two-bones", {}), ("head-missing", {})]
                )
            )
        )
        tables = {table.name: table for table in clinical_tables(data)}
        table = tables["clinical_test"]
        cell = _cells(table, _rows(table)[0])["Not measurable: prediction"]
        assert (str(cell), cell.value) == ("3 (head-missing 2, two-bones 1)", 3)

    def test_a_method_that_fails_is_not_the_best(self):
        tables, data = _tables({"A": [0.1, 0.1, None], "B": [0.5, 0.5, 0.5], "C": [0.5, 0.7, 0.5]})
        table = tables["clinical_test"]
        best = [_cells(table, row)["Absolute error: mean ± SD"].best for row in _rows(table)]
        assert best == [False, True, False]
        errors = tables["clinical_errors_test"]
        assert errors.place == "main"
        column = "Mean absolute error: Neck-shaft angle (3D, °)"
        assert [_cells(errors, row)[column].best for row in range(3)] == [False, True, False]
        assert [str(_cells(errors, row)["Femurs: not measured"]) for row in range(3)] == ["1 of 3", "0 of 3", "0 of 3"]
        (caution,) = _clinical_cautions(data.endpoints)
        assert "A (1)" in caution

    def test_a_single_method_is_not_the_best(self):
        tables, data = _tables({"A": [1.0]})
        assert not any(cell.best for row in tables["clinical_test"].rows for cell in row.cells)
        assert _clinical_cautions(data.endpoints) == []


class TestDetails:
    def test_missing_measurements_are_listed_once_per_mask_and_reason(self):
        whole = dict.fromkeys(("head_radius_mm", "volume_ml"), 20.0)
        data = measured_data(
            ("A", "L0", femur(reason="cut", volume_ml=20.0), femur(reason="cut", **whole)),
            ("B", "L0", femur(reason="cut", volume_ml=20.0), femur(reason="two-bones")),
        )
        table = {table.name: table for table in clinical_tables(data)}["clinical_missing"]
        listed = {row.label: [str(cell) for cell in row.cells] for row in table.rows}
        assert listed["reference"][:5] == ["test", "", "L0", "whole", "cut"]
        assert listed["B"] == ["test", "none", "L0", "whole", "two-bones", "Volume"]
        assert len(table.rows) == 2

    def test_other_endpoints_have_rows_and_methods_columns(self):
        data = measured_data(
            *(
                (method, "L0", femur(offset_mm=40.0), femur(offset_mm=40.0 + error))
                for method, error in (("A", 1), ("B", -3))
            )
        )
        table = {table.name: table for table in clinical_tables(data)}["clinical_others_test"]
        assert [column.heading for column in table.columns] == ["A", "B"]
        assert [str(cell) for cell in table.rows[0].cells] == ["1.00 ± –", "3.00 ± –"]

    def test_statistics_of_main_endpoints_are_folded(self):
        tables, _ = _tables({"A": [1.0, 2.0], "B": [2.0, 1.5]})
        for kind in ("statistics", "pairs"):
            table = tables[f"{kind}_test_measurements_{NSA}"]
            assert (table.section, table.place) == (sections.CLINICAL, "folded")

    def test_nothing_measured(self):
        data = measured_data(("A", "L0", femur(**{NSA: 120.0}), femur()))
        tables = {table.name: table for table in clinical_tables(data)}
        row = next(row for row in tables["clinical_test"].rows if row.name.startswith("Neck-shaft"))
        assert [str(cell) for cell in row.cells[:5]] == ["A", "0 of 1", "0", "1 (head-missing)", "–"]
        assert list(clinical_tables(ReportData(data.scored))) == []
