"""Measurements of one femur, and the reasons for what could not be measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nnunet_femur.findings import Finding
    from nnunet_femur.measurement.landmarks import Anatomy

    Value = float | tuple[float, float, float]


@dataclass(frozen=True)
class Missing:
    """Reason why a quantity could not be measured.

    Attributes:
        code: Short name of the reason: "distal-end-missing", "head-missing", "two-bones", ...
        text: The reason as a sentence, or as an error message that begins with a file.
    """

    code: str
    text: str


@dataclass(frozen=True, eq=False, repr=False)
class FemurMeasurements:
    """Measurements of one femur.

    Attributes:
        case: Name of the mask.
        side: "left", "right" or "unknown".
        side_source: Origin of the side: "label" (also a segment or a stated side), "shape", "other-bone", or "id";
            empty if it is unknown.
        values: Value of each measured quantity by key, in the order of the table; vectors as three numbers in LPS.
        missing: Reason for each quantity that could not be measured, by key.
        findings: Doubtful properties of the mask, such as a side that contradicts the case id.
        anatomy: Landmarks in LPS mm, for pictures and further measurements; None if there is no bone.

    Example:
        >>> reason = Missing("distal-end-missing", "The distal end is missing.")
        >>> femur = FemurMeasurements("L1", "left", "id", {"head_radius_mm": 24.0}, {"mldfa_deg": reason})
        >>> femur
        FemurMeasurements('L1', left, 1 measured, 1 missing)
        >>> femur["head_radius_mm"], femur["mldfa_deg"], femur.missing["mldfa_deg"].code
        (24.0, None, 'distal-end-missing')
    """

    case: str
    side: str
    side_source: str
    values: Mapping[str, Value]
    missing: Mapping[str, Missing]
    findings: tuple[Finding, ...] = ()
    anatomy: Anatomy | None = None

    def __getitem__(self, key: str) -> Value | None:
        """Return a value, or None if it could not be measured.

        Raises:
            KeyError: The key is not a quantity of this femur.
        """
        if key in self.missing:
            return None
        return self.values[key]

    def __repr__(self) -> str:
        """Return case, side, and the numbers of measured and missing quantities."""
        counts = f"{len(self.values)} measured, {len(self.missing)} missing"
        return f"{type(self).__name__}({self.case!r}, {self.side}, {counts})"
