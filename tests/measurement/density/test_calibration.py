"""Calibrations as users give them: a line, rods, a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnunet_femur.measurement.density.calibration import Calibration, fit_rods, read_calibration
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path


class TestLine:
    @pytest.mark.parametrize("given", ["0.8,-2", " 0.8 , -2 ", "8e-1,-2.0", (0.8, -2), [0.8, -2], np.array([0.8, -2])])
    def test_slope_and_intercept(self, given: object) -> None:
        assert read_calibration(given) == Calibration(0.8, -2.0)

    def test_density(self) -> None:
        assert Calibration(0.8, -2).density_mg_cm3(-50) == pytest.approx(-42)

    def test_none_and_a_calibration_are_kept(self) -> None:
        line = Calibration(0.9, 1)
        assert read_calibration(None) is None
        assert read_calibration(line) is line

    @pytest.mark.parametrize(
        "given",
        [
            "",
            "0.8",
            "0.8;-2",
            "0.8,-2,1",
            "a,b",
            "nan,0",
            "0.8,inf",
            "0,5",
            "-0.8,2",
            "80,0",
            (0.8,),
            (0.8, "x"),
            (0.8, None),
        ],
    )
    def test_refuses_other_forms(self, given: object) -> None:
        with refused("invalid-option", "calibration"):
            read_calibration(given)


class TestRods:
    RODS = ((-50.0, -41.0), (0.0, 1.0), (120.0, 97.0), (250.0, 201.0), (400.0, 320.5))

    def test_least_squares(self) -> None:
        """Compared with numpy's polynomial fit."""
        line = fit_rods(self.RODS)
        hu, density = np.array(self.RODS).T
        slope, intercept = np.polyfit(hu, density, 1)
        assert line.slope == pytest.approx(slope)
        assert line.intercept_mg_cm3 == pytest.approx(intercept)
        assert line.rms_mg_cm3 == pytest.approx(np.sqrt(np.mean((slope * hu + intercept - density) ** 2)))

    def test_by_hand(self) -> None:
        """Slope 0.8 through the mean (100, 81); residuals -1, +2, -1 of which the root mean square is sqrt(2)."""
        line = fit_rods([(0, 2), (100, 79), (200, 162)])
        assert (line.slope, line.intercept_mg_cm3) == pytest.approx((0.8, 1.0))
        assert line.rms_mg_cm3 == pytest.approx(2**0.5)

    def test_as_text(self) -> None:
        assert read_calibration("0:2, 100:79 ,200:162") == fit_rods([(0, 2), (100, 79), (200, 162)])

    @pytest.mark.parametrize(
        "given", ["5:4", "5:4,5:6", "0:1,100:x", "0:1,100", "0:0,100:nan", "0:100,100:0", "0:1:2,3:4:5"]
    )
    def test_refuses_rods_without_a_line(self, given: str) -> None:
        with refused("invalid-option", "calibration"):
            read_calibration(given)


class TestFile:
    def test_csv(self, tmp_path: Path) -> None:
        path = tmp_path / "rods.csv"
        path.write_text("rod, hu, density_mg_cm3\nA, 0, 2\nB, 100, 79\nC, 200, 162\n", encoding="utf-8-sig")
        for given in (path, str(path)):
            assert read_calibration(given) == fit_rods([(0, 2), (100, 79), (200, 162)])

    def test_json_of_rods_and_of_a_line(self, tmp_path: Path) -> None:
        path = tmp_path / "rods.json"
        path.write_text(json.dumps([[0, 2], [100, 79], [200, 162]]))
        assert read_calibration(path) == fit_rods([(0, 2), (100, 79), (200, 162)])
        path.write_text(json.dumps({"slope": 0.8, "intercept_mg_cm3": -2}))
        assert read_calibration(path) == Calibration(0.8, -2.0)

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.csv", ""),
            ("a.csv", "hu,density\n0,2\n100,79\n"),
            ("a.csv", "hu,density_mg_cm3\n0,2\n"),
            ("a.csv", "hu,density_mg_cm3\n0,2\n100,\n"),
            ("a.json", "[[0, 2], [100"),
            ("a.json", "7"),
            ("a.json", '{"slope": 0.8}'),
            ("a.json", '[[0, "a"], [1, 2]]'),
        ],
    )
    def test_refuses_other_content(self, tmp_path: Path, name: str, content: str) -> None:
        (tmp_path / name).write_text(content)
        with refused("invalid-option", name):
            read_calibration(tmp_path / name)

    def test_that_does_not_exist_or_is_no_text(self, tmp_path: Path) -> None:
        with refused("not-found", "rods.csv"):
            read_calibration(tmp_path / "rods.csv")
        (tmp_path / "rods.csv").write_bytes(b"\xff\xfe\x00")
        with refused("unreadable", "rods.csv"):
            read_calibration(tmp_path / "rods.csv")
