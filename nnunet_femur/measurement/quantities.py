"""Measured quantities of a femur: key, unit, definition, and the range in adults, in one table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """One measured quantity.

    Attributes:
        key: Name in files and in Python, which ends with its unit: "neck_shaft_angle_deg".
        label: Name in tables and reports, without the unit.
        unit: "mm", "deg", "ml", "mm2", "cm2", "HU", "mg/cm3"; "%" for a share; "1" for a number without unit.
        definition: One or two sentences.
        normal: Range that includes about 95 % of adults; None if it is not known.
        source: Source of the definition or of the range.
        is_vector: True for a position or direction in LPS, three numbers.
    """

    key: str
    label: str
    unit: str
    definition: str
    normal: tuple[float, float] | None = None
    source: str = ""
    is_vector: bool = False


QUANTITIES: dict[str, Quantity] = {
    each.key: each
    for each in (
        Quantity("head_center_mm_lps", "Head centre", "mm", "Centre.", is_vector=True),
        Quantity("head_radius_mm", "Head radius", "mm", "Radius."),
        Quantity("shaft_axis_lps", "Shaft axis", "1", "Axis.", is_vector=True),
        Quantity("neck_shaft_angle_deg", "Neck-shaft angle", "deg", "Angle."),
        Quantity("version_neck_deg", "Version (neck)", "deg", "Angle."),
        Quantity("version_murphy_deg", "Version (Murphy)", "deg", "Angle."),
        Quantity("mldfa_deg", "mLDFA", "deg", "Angle."),
        Quantity("length_longest_mm", "Length (longest)", "mm", "Length."),
        Quantity("volume_ml", "Volume", "ml", "Volume."),
    )
}
