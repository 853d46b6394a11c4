"""Measurements for people: the table in the terminal, and the reasons for what is missing."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from nnunet_femur.findings import Severity
from nnunet_femur.imaging.sides import UNKNOWN
from nnunet_femur.measurement.density.ct_quantities import CT_QUANTITIES
from nnunet_femur.measurement.output.measurement_tables import (
    ALL_QUANTITIES,
    keys_of,
    number_text,
    reason_of,
    scalars,
    value_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from rich.console import RenderableType

    from nnunet_femur.measurement.femur_measurements import FemurMeasurements
    from nnunet_femur.measurement.quantity import Quantity

MAIN = {
    "head_diameter_mm": "head",
    "neck_shaft_angle_deg": "neck-shaft",
    "version_neck_deg": "version",
    "mldfa_deg": "mLDFA",
    "offset_mm": "offset",
    "length_longest_mm": "length",
    "volume_ml": "volume",
}
"""Quantities of tables with a row per femur, and their short headings."""

_SIDE_BY_SIDE = 4
"""Largest number of femurs that are columns of the table; more femurs are rows, with the main quantities."""

_WITH_RANGE = 2
"""Largest number of femurs beside which there is room for the range of adults."""

_UNITS = {"deg": "°", "mm2": "mm²", "cm2": "cm²", "mg/cm3": "mg/cm³", "1": ""}


def unit_text(unit: str) -> str:
    """Return a unit as it is printed.

    Example:
        >>> unit_text("deg"), unit_text("mm2"), unit_text("mm")
        ('°', 'mm²', 'mm')
    """
    return _UNITS.get(unit, unit)


def range_text(quantity: Quantity) -> str:
    """Return the range of adults as it is printed; empty if it is not known.

    Example:
        >>> range_text(ALL_QUANTITIES["head_radius_mm"])
        '20–27.5'
    """
    return "" if quantity.normal is None else "–".join(f"{limit:g}" for limit in quantity.normal)


def title(femur: FemurMeasurements) -> str:
    """Return case and side of a femur."""
    return femur.case if femur.side == UNKNOWN else f"{femur.case} {femur.side}"


def table(femurs: Sequence[FemurMeasurements]) -> RenderableType:
    """Return the table of the terminal.

    Up to four femurs are columns, with a row for every quantity that is one number. More femurs are rows, with the main
    quantities.
    """
    return _all_quantities(femurs) if len(femurs) <= _SIDE_BY_SIDE else _main_quantities(femurs)


def _all_quantities(femurs: Sequence[FemurMeasurements]) -> RenderableType:
    from rich.markup import escape
    from rich.table import Table

    with_range = len(femurs) <= _WITH_RANGE
    grid = Table(box=None, pad_edge=False)
    grid.add_column("", no_wrap=True)
    for femur in femurs:
        side = "" if femur.side == UNKNOWN else femur.side
        grid.add_column(f"{escape(femur.case)}\n{side}".rstrip(), justify="right", overflow="fold")
    grid.add_column("unit")
    if with_range:
        grid.add_column("adults", justify="right", style="dim")
    for quantity in _printed(femurs):
        values = [_cell(quantity, femur) for femur in femurs]
        label = quantity.label.removesuffix(" of the length")
        grid.add_row(escape(label), *values, unit_text(quantity.unit), *([range_text(quantity)] if with_range else []))
    return grid


def _printed(femurs: Sequence[FemurMeasurements]) -> Iterator[Quantity]:
    """Yield the quantities of the terminal: all of the shape, and of the CT those that are looked at first."""
    for quantity in scalars(keys_of(femurs)):
        key = quantity.key
        of_ct = key in CT_QUANTITIES
        main = key.startswith(_FIRST_OF_CT) and not any(word in key for word in _DETAILS_OF_CT)
        if not of_ct or (main and any(value_of(femur, key) is not None for femur in femurs)):
            yield quantity


_FIRST_OF_CT = ("metal", "hu_mean", "bmd_mean", "cortical_thickness_50", "cortical_area_50")
_DETAILS_OF_CT = ("interior", "shell")


def _main_quantities(femurs: Sequence[FemurMeasurements]) -> RenderableType:
    from rich.markup import escape
    from rich.table import Table

    grid = Table(box=None, pad_edge=False)
    grid.add_column("case", overflow="fold")
    grid.add_column("side")
    main = [ALL_QUANTITIES[key] for key in MAIN]
    for quantity in main:
        grid.add_column(f"{MAIN[quantity.key]}\n{unit_text(quantity.unit)}", justify="right")
    for femur in femurs:
        side = "" if femur.side == UNKNOWN else femur.side
        grid.add_row(escape(femur.case), side, *(_cell(quantity, femur) for quantity in main))
    return grid


def _cell(quantity: Quantity, femur: FemurMeasurements) -> str:
    value = value_of(femur, quantity.key)
    text = number_text(quantity, value)
    if isinstance(value, float) and quantity.normal is not None:
        low, high = quantity.normal
        return text if low <= value <= high else f"[yellow]{text}[/]"
    return text


_MOST_NAMED = 8
_NOT_ASKED_FOR = {"no-calibration"}
"""Reasons that follow from the options, and are not worth a line in the terminal."""


def notes(femurs: Sequence[FemurMeasurements]) -> Iterator[str]:
    """Yield the reasons for what is missing, and warnings, each with the femur in front.

    The quantities of one reason are one line. A warning about the whole mask is printed once.
    """
    keys = keys_of(femurs)
    for femur in femurs:
        labels_by_reason: dict[tuple[str, str], list[str]] = defaultdict(list)
        for key in keys:
            if (reason := reason_of(femur, key)) is not None:
                labels_by_reason[reason.code, reason.text].append(ALL_QUANTITIES[key].label)
        measured = any(key in femur.values for key in keys)
        for (code, text), labels in labels_by_reason.items():
            if code in _NOT_ASKED_FOR:
                continue
            named = ", ".join(labels) if len(labels) <= _MOST_NAMED else f"{len(labels)} quantities"
            what = f"not measured: {named}" if measured else "nothing measured"
            yield f"{title(femur)}: {what} ({code}): {text}"
        for found in femur.findings:
            sharing = [other for other in femurs if other.case == femur.case and found in other.findings]
            if found.severity is Severity.NOTE or sharing[0] is not femur:
                continue
            name = title(femur) if len(sharing) == 1 else femur.case
            yield f"{name}: {found.severity.value}: {found.problem} {found.remedy}".rstrip()


def main_frame(femurs: Sequence[FemurMeasurements]) -> pd.DataFrame:
    """Return a table with the main quantities as texts, a row per femur."""
    import pandas as pd

    rows = [
        {
            "case": femur.case,
            "side": femur.side,
            **{
                f"{ALL_QUANTITIES[key].label} ({unit_text(ALL_QUANTITIES[key].unit)})": number_text(
                    ALL_QUANTITIES[key], value_of(femur, key)
                )
                for key in MAIN
            },
        }
        for femur in femurs
    ]
    return pd.DataFrame(rows)
