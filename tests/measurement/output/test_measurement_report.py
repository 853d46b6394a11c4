"""The table in the terminal and its notes: every quantity, and every reason once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from nnunet_femur.kinds import finding
from nnunet_femur.measurement.density.ct_quantities import CT_QUANTITIES
from nnunet_femur.measurement.femur_measurements import FemurMeasurements, Missing
from nnunet_femur.measurement.output.measurement_report import MAIN, main_frame, notes, table, unit_text
from nnunet_femur.measurement.quantities import QUANTITIES
from tests.measurement.known_femur import REASON, VALUES, measurements

if TYPE_CHECKING:
    from collections.abc import Sequence

SCALARS = [quantity for quantity in QUANTITIES.values() if not quantity.is_vector]


def _printed(femurs: Sequence[FemurMeasurements], width: int = 80) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(table(femurs))
    return captured.get().splitlines()


class TestFewFemurs:
    @pytest.mark.parametrize("count", [1, 2, 4])
    def test_a_row_for_each_quantity_of_the_shape(self, count: int) -> None:
        lines = _printed([measurements(f"R{number}") for number in range(count)], width=100)
        for quantity in SCALARS:
            row = next(line for line in lines if line.startswith(f"{quantity.label} "))
            assert unit_text(quantity.unit) in row
        row = next(line for line in lines if line.startswith("head diameter")).split()
        assert row.count("48.0") == count
        assert len(lines) == len(SCALARS) + 2

    def test_fit_a_terminal_of_80_columns(self) -> None:
        values = {quantity.key: 1234.56 for quantity in SCALARS}
        femurs = [measurements(f"R{number}00_GS", values=values, missing={}) for number in range(4)]
        lines = _printed(femurs)
        assert max(map(len, lines)) <= 80
        assert len(lines) == len(SCALARS) + 2

    def test_long_names_are_folded_and_not_cut(self) -> None:
        name = "a_case_with_a_very_long_name_2026_11_25"
        text = "".join(line.split("  ")[-1] for line in _printed([measurements(name)] * 3))
        assert "[" not in text
        assert "…" not in "".join(_printed([measurements(name)] * 3))

    def test_names_are_not_markup(self) -> None:
        assert any("[red]x" in line for line in _printed([measurements("[red]x")]))

    def test_with_a_ct_its_main_quantities(self) -> None:
        values = {**VALUES, "hu_mean": 321.4, "hu_mean_head": 222.0, "hu_sd_head": 99.0}
        missing = {key: REASON for key in (*QUANTITIES, *CT_QUANTITIES) if key not in values}
        lines = _printed([measurements(values=values, missing=missing)])
        assert any(line.startswith("mean HU ") and "321" in line for line in lines)
        assert any(line.startswith("mean HU, head") and "222" in line for line in lines)
        assert not any("99" in line for line in lines)


def test_many_femurs_are_rows() -> None:
    femurs = [measurements(f"R{number}") for number in range(8)]
    lines = _printed(femurs)
    assert len(lines) == 2 + 8
    assert max(map(len, lines)) <= 80
    row = lines[5].split()
    assert row == ["R3", "right", "48.0", "125.0", "12.0", "87.5", "-", "451.2", "512"]
    assert len(MAIN) == len(row) - 2


class TestNotes:
    def test_a_reason_is_given_once(self) -> None:
        lines = list(notes([measurements()]))
        assert len(lines) == 1
        assert lines[0].startswith(f"R1 right: not measured: {len(QUANTITIES) - len(VALUES)} quantities (not-sharp): ")

    def test_few_quantities_are_named(self) -> None:
        values = {key: (0.0,) * 3 if each.is_vector else 1.0 for key, each in QUANTITIES.items()}
        del values["mldfa_deg"], values["aldfa_deg"]
        missing = {"mldfa_deg": REASON, "aldfa_deg": Missing("other", "Another one.")}
        lines = list(notes([measurements(values=values, missing=missing)]))
        assert lines == [
            "R1 right: not measured: mLDFA (not-sharp): The part is not sharp enough.",
            "R1 right: not measured: aLDFA (other): Another one.",
        ]

    def test_nothing_measured(self) -> None:
        empty = FemurMeasurements("L2", "unknown", "", {}, dict.fromkeys(QUANTITIES, Missing("empty-mask", "Empty.")))
        assert list(notes([empty])) == ["L2: nothing measured (empty-mask): Empty."]

    def test_warnings_but_not_notes(self) -> None:
        found = (finding("mask-side", "R1.nrrd", "is left."), finding("mask-label-2", "R1.nrrd", "has the label 2."))
        lines = list(notes([replace(measurements(), findings=found)]))
        assert sum("is left." in line for line in lines) == 1
        assert not any("label 2" in line for line in lines)

    def test_a_warning_about_the_whole_mask_is_printed_once(self) -> None:
        shared, own = finding("same-side", "R1.nrrd", "has two."), finding("upside-down", "R1.nrrd", "is upside down.")
        first = FemurMeasurements("R1", "left", "label", {}, {}, findings=(shared,))
        second = FemurMeasurements("R1", "right", "label", {}, {}, findings=(shared, own))
        assert [line.split(":")[0] for line in notes([first, second])] == ["R1", "R1 right"]

    def test_density_without_calibration_is_not_worth_a_line(self) -> None:
        missing = {"bmd_mean_mg_cm3": Missing("no-calibration", "No.")}
        assert list(notes([measurements(missing=missing, values=dict.fromkeys(QUANTITIES, 1.0))])) == []


def test_frame_of_a_notebook() -> None:
    frame = main_frame([measurements(), measurements("R2")])
    assert frame["case"].tolist() == ["R1", "R2"]
    assert frame["mLDFA (°)"].tolist() == ["87.5", "87.5"]
    assert frame.shape == (2, 2 + len(MAIN))
