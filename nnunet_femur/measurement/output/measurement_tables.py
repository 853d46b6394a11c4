"""Measurements as rows and objects of CSV and JSON files, and as texts.

A position or direction is a list of three numbers in JSON, and three columns in CSV: ``head_center_mm_lps_x``, ``_y``
and ``_z``.
"""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any

from nnunet_femur.measurement.density.ct_quantities import CT_QUANTITIES
from nnunet_femur.measurement.femur_measurements import FemurMeasurements, Missing
from nnunet_femur.measurement.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nnunet_femur.measurement.femur_measurements import Value
    from nnunet_femur.measurement.quantity import Quantity

ALL_QUANTITIES = {**QUANTITIES, **CT_QUANTITIES}
"""Quantities of the mask and of the CT by key, in the order of all tables."""

_AXES = "xyz"

_DIGITS, _DIGITS_OF_DIRECTION = 4, 6
"""Digits after the point in files: far below the error of any measurement, and the same number on every machine."""


def keys_of(femurs: Iterable[FemurMeasurements]) -> tuple[str, ...]:
    """Return the keys that at least one femur has, measured or missing, in the order of the table of quantities."""
    known: set[str] = set()
    for femur in femurs:
        known |= femur.values.keys() | femur.missing.keys()
    return tuple(key for key in ALL_QUANTITIES if key in known)


def columns_of(keys: Iterable[str]) -> list[str]:
    """Return the columns of the CSV for these quantities; a vector has three.

    Example:
        >>> columns_of(["head_center_mm_lps", "volume_ml"])
        ['head_center_mm_lps_x', 'head_center_mm_lps_y', 'head_center_mm_lps_z', 'volume_ml']
    """
    return [column for key in keys for column in _columns(ALL_QUANTITIES[key])]


def _columns(quantity: Quantity) -> list[str]:
    return [f"{quantity.key}_{axis}" for axis in _AXES] if quantity.is_vector else [quantity.key]


def as_record(femur: FemurMeasurements, keys: Sequence[str], error: str = "") -> dict[str, Any]:
    """Return one femur as content of the JSON file: numbers, lists, texts and None.

    Args:
        femur: The femur.
        keys: Quantities of the file, which all records have.
        error: Reason why the mask or its CT could not be read.
    """
    return {
        "case": femur.case,
        "side": femur.side,
        "side_source": femur.side_source,
        **{key: _rounded(ALL_QUANTITIES[key], value_of(femur, key)) for key in keys},
        "missing": {
            key: {"code": reason.code, "text": reason.text}
            for key in keys
            if (reason := reason_of(femur, key)) is not None
        },
        "findings": [
            {"code": found.code, "severity": found.severity.value, "problem": found.problem, "remedy": found.remedy}
            for found in femur.findings
        ],
        "error": error or None,
    }


def as_row(femur: FemurMeasurements, keys: Sequence[str], error: str = "") -> dict[str, Any]:
    """Return one femur as a row of the CSV: numbers and texts by column, None for what is missing.

    Args:
        femur: The femur.
        keys: Quantities of the file, which all rows have.
        error: As in :func:`as_record`.
    """
    row: dict[str, Any] = {"case": femur.case, "side": femur.side, "side_source": femur.side_source}
    for key in keys:
        quantity = ALL_QUANTITIES[key]
        value = _rounded(quantity, value_of(femur, key))
        parts = value if isinstance(value, list) else [value] * len(_columns(quantity))
        row.update(zip(_columns(quantity), parts, strict=True))
    row["missing"] = "; ".join(f"{key}: {reason.code}" for key in keys if (reason := reason_of(femur, key)) is not None)
    row["findings"] = "; ".join(f"{found.code}: {found.problem}" for found in femur.findings)
    row["error"] = error
    return row


def value_of(femur: FemurMeasurements, key: str) -> Value | None:
    """Return a value, or None if it is missing, was not asked for, or is not finite."""
    value = None if key in femur.missing else femur.values.get(key)
    if value is None:
        return None
    numbers = value if isinstance(value, tuple) else (value,)
    return value if all(math.isfinite(number) for number in numbers) else None


def reason_of(femur: FemurMeasurements, key: str) -> Missing | None:
    """Return the reason why a value is missing; None if there is a value."""
    if value_of(femur, key) is not None:
        return None
    if key in femur.missing:
        return femur.missing[key]
    return _NOT_FINITE if key in femur.values else _NOT_ASKED


_NOT_FINITE = Missing("not-finite", "The result is not a finite number.")
_NOT_ASKED = Missing("not-asked", "This quantity was not asked for.")


def _rounded(quantity: Quantity, value: Value | None) -> float | list[float] | None:
    if value is None:
        return None
    digits = _DIGITS_OF_DIRECTION if quantity.is_vector and quantity.unit == "1" else _DIGITS
    # Adding 0.0 turns -0.0 into 0.0.
    if isinstance(value, tuple):
        return [round(float(number), digits) + 0.0 for number in value]
    return round(float(value), digits) + 0.0


def json_text(records: Sequence[Mapping[str, Any]]) -> str:
    """Return records as strict JSON: a list of objects, one per femur."""
    return json.dumps(list(records), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def csv_text(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> str:
    """Return rows as CSV with a header; missing values are empty cells."""
    text = io.StringIO()
    columns = ["case", "side", "side_source", *columns_of(keys), "missing", "findings", "error"]
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def scalars(keys: Iterable[str]) -> Iterator[Quantity]:
    """Yield the quantities that are one number."""
    return (ALL_QUANTITIES[key] for key in keys if not ALL_QUANTITIES[key].is_vector)


def number_text(quantity: Quantity, value: Value | None) -> str:
    """Return a number for people, with the digits that mean something; "-" if it is missing.

    Example:
        >>> number_text(ALL_QUANTITIES["neck_shaft_angle_deg"], 123.04), number_text(ALL_QUANTITIES["volume_ml"], None)
        ('123.0', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, tuple):
        return ", ".join(f"{number:.1f}" for number in value)
    fine = quantity.unit == "mm" and quantity.key.endswith("rms_mm")
    coarse = quantity.unit in {"mm2", "HU", "mg/cm3"} or quantity.key == "volume_ml"
    digits = 2 if fine else 0 if coarse else 1
    # Adding 0.0 turns -0.0 into 0.0.
    return f"{round(value, digits) + 0.0:.{digits}f}"
