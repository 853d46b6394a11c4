"""One measured quantity: key, unit, definition, and the range in adults."""

from __future__ import annotations

from dataclasses import dataclass

COHORT = "50 adult femora (SICAS Medical Image Repository), measured with these definitions"
"""Source of the ranges for which no published one has the same definition."""


@dataclass(frozen=True)
class Quantity:
    """One measured quantity.

    Attributes:
        key: Name in files and in Python, which ends with its unit: "neck_shaft_angle_deg".
        label: Name in tables and reports, without the unit.
        unit: "mm", "deg", "ml", "mm2", "cm2", "HU", "mg/cm3"; "%" for a share; "1" for a number without unit.
        definition: One or two sentences.
        needs: Part of the bone without which it cannot be measured: "bone" (any part), "head", "neck",
            "proximal-shaft", or "whole".
        normal: Range that includes about 95 % of adults; None if it is not known.
        source: Source of the definition or of the range.
        is_vector: True for a position or direction in LPS, three numbers.
    """

    key: str
    label: str
    unit: str
    definition: str
    needs: str = "bone"
    normal: tuple[float, float] | None = None
    source: str = ""
    is_vector: bool = False
