"""Errors of clinical measurements: one for each measured quantity of a femur."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from nnunet_femur.evaluation import METRICS, Measure, Metric
from nnunet_femur.measurement.density.ct_quantities import CT_QUANTITIES
from nnunet_femur.measurement.quantities import SHAPE_QUANTITIES

if TYPE_CHECKING:
    from nnunet_femur.measurement.quantity import Quantity
    from collections.abc import Iterable

    from nnunet_femur.measurement.femur_measurements import Value

PROTOCOL = "measurements"
"""Protocol of the errors in scores.csv."""

MAIN = (
    "head_center_mm", "neck_shaft_angle_deg", "version_neck_deg", "version_murphy_deg", "mldfa_deg",
    "length_longest_mm", "volume_ml", "hu_mean",
)  # fmt: skip
"""Endpoints that are tested, ranked and drawn, in the order of the report. Tables list the others, too."""

UNIT_TEXTS = {"deg": "°", "mm2": "mm²", "cm2": "cm²", "mg/cm3": "mg/cm³"}
"""Units as tables and figures print them, where they differ from those of files."""


@dataclass(frozen=True)
class Endpoint:
    """The error of one measurement.

    Attributes:
        name: Name in scores.csv and measurements.csv; it ends with the unit of the error.
        quantity: Key of the measured quantity.
        label: Name in tables and figures, without the unit.
        unit: Unit of the error, as in files.
        kind: "difference" for prediction minus reference, "distance" for the distance of two points in mm, "angle" for
            the angle between two directions in degrees.
    """

    name: str
    quantity: str
    label: str
    unit: str
    kind: Literal["difference", "distance", "angle"] = "difference"

    @property
    def ideal(self) -> float:
        """The error of a perfect prediction."""
        return 0.0

    @property
    def signed(self) -> bool:
        """True if errors have a sign, so that bias and limits of agreement exist."""
        return self.kind == "difference"

    @property
    def title(self) -> str:
        """Label and unit."""
        unit = unit_text(self.unit)
        if self.label.endswith(f" {unit}"):
            return self.label
        return f"{self.label[:-1]}, {unit})" if self.label.endswith(")") else f"{self.label} ({unit})"

    @property
    def title_in_text(self) -> str:
        """Label and unit within a sentence."""
        return self.title if self.label[1:2].isupper() else self.title[:1].lower() + self.title[1:]

    def error(self, reference: Value, prediction: Value) -> float:
        """Return the error of a measurement.

        Args:
            reference: The value of the reference mask; three numbers for a position or direction.
            prediction: The value of the predicted mask, likewise.

        Example:
            >>> distance = Endpoint("head_center_mm", "head_center_mm_lps", "Head centre", "mm", "distance")
            >>> distance.error((0.0, 0.0, 0.0), (1.0, 2.0, 2.0))
            3.0
            >>> Endpoint("version_neck_deg", "version_neck_deg", "Version", "deg").error(179.0, -179.0)
            2.0
        """
        first, second = np.asarray(reference, float), np.asarray(prediction, float)
        if self.kind == "distance":
            return float(np.linalg.norm(second - first))
        if self.kind == "angle":
            # More exact than the arc cosine for small angles.
            return math.degrees(math.atan2(float(np.linalg.norm(np.cross(first, second))), float(first @ second)))
        difference = float(second - first)
        return (difference + 180) % 360 - 180 if self.unit == "deg" else difference


def endpoints_of(quantities: Iterable[Quantity]) -> dict[str, Endpoint]:
    """Return the endpoint of each quantity, by the endpoint's name.

    Example:
        >>> [*endpoints_of([Quantity("shaft_axis_lps", "Shaft axis", "1", "Axis.", is_vector=True)])]
        ['shaft_axis_deg']
    """
    found = {}
    for one in quantities:
        label = one.label if one.label[1:2].isupper() else one.label[:1].upper() + one.label[1:]
        endpoint = Endpoint(one.key, one.key, label, one.unit)
        if one.is_vector:
            place = one.key.endswith("_mm_lps")
            unit, kind = ("mm", "distance") if place else ("deg", "angle")
            name = f"{one.key.removesuffix('_lps').removesuffix('_mm')}_{unit}"
            endpoint = Endpoint(name, one.key, label, unit, kind)  # type: ignore[arg-type]
        found[endpoint.name] = endpoint
    return found


ENDPOINTS: dict[str, Endpoint] = endpoints_of((*SHAPE_QUANTITIES, CT_QUANTITIES["hu_mean"]))
"""All endpoints by name, in the order of the quantities."""


def metric_of(measure: Measure) -> Metric | Endpoint:
    """Return the metric or the endpoint of a measure, which have a label, a unit and an ideal.

    Example:
        >>> metric_of(Measure("volume", "all", "whole", "dice")).label
        'Dice'
        >>> metric_of(Measure("measurements", "absolute", "whole", "mldfa_deg")).unit
        'deg'
    """
    return ENDPOINTS[measure.metric] if measure.protocol == PROTOCOL else METRICS[measure.metric]


def unit_text(unit: str) -> str:
    """Return a unit as tables and figures print it."""
    return UNIT_TEXTS.get(unit, unit)
