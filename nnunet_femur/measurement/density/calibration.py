"""Calibration of a CT: from HU to mg/cm3 of K2HPO4, by a line or by the rods of a phantom."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FORM = "Give SLOPE,INTERCEPT, rods as HU:DENSITY,HU:DENSITY,..., or a CSV or JSON file of rods."
_NAME = "calibration"

_SLOPES = (0.1, 10.0)
"""Range of plausible slopes in mg/cm3 per HU; phantoms at 80 to 140 kV have about 0.5 to 1.2."""


@dataclass(frozen=True)
class Calibration:
    """A line from HU to bone mineral density: density = slope x HU + intercept.

    Attributes:
        slope: mg/cm3 per HU.
        intercept_mg_cm3: Density at 0 HU in mg/cm3.
        rods: Pairs of HU and density in mg/cm3 that the line was fitted to; empty if the line was given.
        rms_mg_cm3: Root mean square of the rods' distances from the line in mg/cm3; 0 without rods.

    Example:
        >>> Calibration(0.8, -2.0).density_mg_cm3(100.0)
        78.0
    """

    slope: float
    intercept_mg_cm3: float
    rods: tuple[tuple[float, float], ...] = ()
    rms_mg_cm3: float = 0.0

    def density_mg_cm3(self, hu: float) -> float:
        """Return the density of a value in HU, in mg/cm3; negative for fat."""
        return self.slope * hu + self.intercept_mg_cm3

    def __str__(self) -> str:
        """Return the line as text, with the residual of its rods."""
        line = f"{self.slope:.5g} mg/cm3 per HU, {self.intercept_mg_cm3:+.4g} mg/cm3 at 0 HU"
        return f"{line} ({len(self.rods)} rods, residual {self.rms_mg_cm3:.3g} mg/cm3)" if self.rods else line


def fit_rods(rods: Iterable[tuple[float, float]], *, name: str = _NAME) -> Calibration:
    """Return the line of least squares through the rods of a phantom.

    Args:
        rods: Pairs of mean HU and density in mg/cm3.
        name: Option or file, for messages.

    Raises:
        InputError: Fewer than two different rods, or an implausible slope ("invalid-option").

    Example:
        >>> line = fit_rods([(0.0, 0.0), (100.0, 80.0), (200.0, 160.0)])
        >>> line.slope, line.intercept_mg_cm3, line.rms_mg_cm3
        (0.8, 0.0, 0.0)
    """
    pairs = tuple((float(hu), float(density)) for hu, density in rods)
    if not all(math.isfinite(number) for pair in pairs for number in pair):
        raise _invalid(name, "contains numbers that are not finite.")
    different = len({hu for hu, _ in pairs})
    if different < 2:
        raise _invalid(name, f"needs rods with at least two different HU, got {different}.")
    count = len(pairs)
    mean_hu, mean_density = sum(hu for hu, _ in pairs) / count, sum(density for _, density in pairs) / count
    spread = sum((hu - mean_hu) ** 2 for hu, _ in pairs)
    slope = sum((hu - mean_hu) * (density - mean_density) for hu, density in pairs) / spread
    intercept = mean_density - slope * mean_hu
    squares = sum((slope * hu + intercept - density) ** 2 for hu, density in pairs)
    _require_slope(slope, name)
    return Calibration(slope, intercept, pairs, math.sqrt(squares / count))


def read_calibration(given: Calibration | str | Path | Sequence[float] | None) -> Calibration | None:
    """Return a calibration from an option or an argument.

    Args:
        given: "SLOPE,INTERCEPT"; rods as "HU:DENSITY,HU:DENSITY,..."; a CSV file with the columns hu and
            density_mg_cm3; a JSON file with a list of pairs, or with slope and intercept_mg_cm3; two numbers, slope and
            intercept; a calibration, which is returned unchanged; or None.

    Raises:
        InputError: It has another form, or an implausible slope ("invalid-option"), or the file does not exist
            ("not-found").

    Example:
        >>> read_calibration("0.8,-2")
        Calibration(slope=0.8, intercept_mg_cm3=-2.0, rods=(), rms_mg_cm3=0.0)
        >>> print(read_calibration("0:1,100:80,200:162"))
        0.805 mg/cm3 per HU, +0.5 mg/cm3 at 0 HU (3 rods, residual 0.707 mg/cm3)
    """
    if given is None or isinstance(given, Calibration):
        return given
    if not isinstance(given, str | Path):
        numbers = tuple(given)
        if len(numbers) != 2:
            raise _invalid(_NAME, f"must be two numbers, slope and intercept, got {len(numbers)}.")
        return _line(*numbers, name=_NAME)
    name = f"{_NAME} {given}"
    if Path(given).suffix.lower() in (".csv", ".json"):
        return _of_file(Path(given))
    fields = [field.strip() for field in str(given).split(",")]
    try:
        if all(field.count(":") == 1 for field in fields):
            return fit_rods(((float(hu), float(mg)) for hu, mg in (field.split(":") for field in fields)), name=name)
        slope, intercept = (float(field) for field in fields)
    except ValueError as error:
        raise _invalid(name, "is neither two numbers nor a list of rods.") from error
    return _line(slope, intercept, name=name)


def _line(slope: Any, intercept: Any, *, name: str) -> Calibration:
    try:
        numbers = float(slope), float(intercept)
    except (TypeError, ValueError) as error:
        raise _invalid(name, "contains something that is not a number.") from error
    if not all(map(math.isfinite, numbers)):
        raise _invalid(name, "contains numbers that are not finite.")
    _require_slope(numbers[0], name)
    return Calibration(*numbers)


def _of_file(path: Path) -> Calibration:
    """Return the calibration of a CSV or JSON file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        msg = f"{path}: not found. Check the path."
        raise InputError(msg, code="not-found") from error
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read. Check the file."
        raise InputError(msg, code="unreadable") from error
    try:
        if path.suffix.lower() == ".csv":
            rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
            return fit_rods([(float(row["hu"]), float(row["density_mg_cm3"])) for row in rows], name=str(path))
        content = json.loads(text)
        if isinstance(content, dict):
            return _line(content["slope"], content["intercept_mg_cm3"], name=str(path))
        return fit_rods([(float(hu), float(density)) for hu, density in content], name=str(path))
    except (ValueError, KeyError, TypeError) as error:
        msg = (
            f"{path}: is not a calibration. A CSV file needs the columns hu and density_mg_cm3; a JSON file needs a "
            "list of pairs, or slope and intercept_mg_cm3."
        )
        raise InputError(msg, code="invalid-option") from error


def _require_slope(slope: float, name: str) -> None:
    low, high = _SLOPES
    if not low <= slope <= high:
        raise _invalid(name, f"has a slope of {slope:.4g} mg/cm3 per HU; expected {low:g} to {high:g}.")


def _invalid(name: str, problem: str) -> InputError:
    return InputError(f"{name}: {problem} {_FORM}", code="invalid-option")
