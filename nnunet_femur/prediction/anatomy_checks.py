"""Checks whether the measurements of a predicted femur can be those of a femur.

The limits are wide: they are meant to find wrong masks, not unusual patients. Those without a published range are the
mean of 50 adult femurs and five or more standard deviations to both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.imaging.sides import UNKNOWN
from nnunet_femur.measurement.quantities import QUANTITIES
from nnunet_femur.measurement.shape.completeness import SHORTEST_MM
from nnunet_femur.prediction.prediction_kinds import predicted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from nnunet_femur.findings import Finding
    from nnunet_femur.measurement.femur_measurements import FemurMeasurements

    Values = Mapping[str, float]
    """The measured numbers of a femur by key."""


def is_whole(values: Mapping[str, object]) -> bool:
    """Return True if the measurements are those of a whole femur.

    Args:
        values: The measured quantities by key.
    """
    return "length_mechanical_mm" in values


@dataclass(frozen=True)
class Limit:
    """Range of a number outside of which a mask is implausible.

    Attributes:
        code: Code of the finding.
        label: Name of the number.
        low: Smallest plausible value.
        high: Largest plausible value.
        value: Returns the number from the measurements; raises KeyError if one of them is missing.
        unit: Unit of the number; empty for a ratio.
        whole: True for a number that a part of a bone has too, but with other values.
    """

    code: str
    label: str
    low: float
    high: float
    value: Callable[[Values], float]
    unit: str = ""
    whole: bool = False

    def problem(self, values: Values) -> str | None:
        """Return the problem as text, or None for a plausible or a missing number."""
        try:
            value = self.value(values)
        except KeyError:
            return None
        if self.whole and not is_whole(values):
            return None
        if not (value < self.low or value > self.high):
            return None
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.label} {value:.3g}{unit}, expected {self.low:g} to {self.high:g}"


def _of(code: str, key: str, low: float, high: float) -> Limit:
    quantity = QUANTITIES[key]
    return Limit(code, quantity.label, low, high, lambda values: values[key], quantity.unit)


def _of_radius(label: str, key: str, low: float, high: float) -> Limit:
    return Limit("proportions", label, low, high, lambda values: values[key] / values["head_radius_mm"])


_CONDYLE_COVERED, _CONDYLE_RATIO = "condyle_covered", "condyle_radius_ratio"
"""Numbers of the spheres of the condyles, which are landmarks and not quantities."""

LIMITS = (
    # In units of the head's radius, which is known best. A cut, a wrong spacing or a wrong head changes all of them.
    _of_radius("length in head radii", "length_longest_mm", 15, 24.5),
    _of_radius("smallest neck width in head radii", "neck_width_min_mm", 0.85, 1.55),
    _of_radius("isthmus in head radii", "isthmus_diameter_mm", 0.75, 1.6),
    _of_radius("offset in head radii", "offset_mm", 0.6, 3.4),
    # A blob at the head or the condyles, or a part of the next bone, lengthens only the first of two lengths.
    Limit(
        "proportions",
        "longest minus bicondylar length",
        -3,
        12.5,
        lambda values: values["length_longest_mm"] - values["length_bicondylar_mm"],
        "mm",
    ),
    Limit(
        "proportions",
        "bicondylar minus mechanical length in head radii",
        0.95,
        1.68,
        lambda values: (values["length_bicondylar_mm"] - values["length_mechanical_mm"]) / values["head_radius_mm"],
    ),
    # A hole in a condyle leaves too little of it, and a hole or a blob makes one condyle larger than the other.
    Limit("proportions", "covered part of a condyle", 0.19, 1, lambda values: values[_CONDYLE_COVERED]),
    Limit("proportions", "medial by lateral condyle radius", 0.68, 1.4, lambda values: values[_CONDYLE_RATIO]),
    # Hollow bones are too light for their section, and bones with blobs too heavy.
    Limit(
        "proportions",
        "volume in mid-shaft areas times length",
        1.4,
        2.8,
        lambda values: 1000 * values["volume_ml"] / values["shaft_area_mid_mm2"] / values["length_longest_mm"],
    ),
    # A rough or hollow bone, or one with holes, has too much surface for its volume.
    Limit(
        "proportions",
        "surface to the power of 1.5 over volume",
        25,
        36,
        lambda values: values["surface_area_cm2"] ** 1.5 / values["volume_ml"],
        whole=True,
    ),
    # Published extremes of 1070 CTs are 100 to 146 degrees, and -24 to 49 degrees.
    _of("angles", "neck_shaft_angle_deg", 88, 160),
    _of("angles", "version_neck_deg", -40, 60),
    _of("angles", "version_murphy_deg", -35, 75),
    _of("angles", "mldfa_deg", 74, 98),
    _of("angles", "aldfa_deg", 67, 93),
    _of("angles", "anatomical_mechanical_angle_deg", -2, 15),
    _of("angles", "condylar_axis_angle_deg", -8, 8),
    _of("angles", "bow_anterior_mm", -5, 30),
)
"""Limits of all checks of a single femur."""

_NOT_ONE_FEMUR = ("two-bones", "not-femur", "too-short", "too-small")
"""Reasons of missing quantities that concern the whole bone."""

_PROTRUSIONS = ("head-protrusion", "distal-protrusion")
"""Reasons of missing lengths that concern something beside the bone."""


@dataclass(frozen=True)
class Difference:
    """Largest plausible difference of a quantity between the two femurs of a person.

    Attributes:
        key: Key of the quantity.
        most: Largest difference; for a `relative` one, as a share of the mean.
        relative: True for a share of the mean.
    """

    key: str
    most: float
    relative: bool = False

    def problem(self, one: Values, other: Values) -> str | None:
        """Return the problem as text, or None for femurs that are alike, or without the quantity."""
        if self.key not in one or self.key not in other:
            return None
        first, second = one[self.key], other[self.key]
        allowed = self.most * (abs(first) + abs(second)) / 2 if self.relative else self.most
        if abs(first - second) <= allowed:
            return None
        quantity = QUANTITIES[self.key]
        return f"{quantity.label} {first:.3g} and {second:.3g} {quantity.unit}"


DIFFERENCES = (
    Difference("head_radius_mm", 0.1, relative=True),
    Difference("length_longest_mm", 0.06, relative=True),
    Difference("neck_shaft_angle_deg", 15),
    Difference("neck_width_min_mm", 0.2, relative=True),
    Difference("mldfa_deg", 8),
    Difference("version_neck_deg", 30),
)
"""Limits of the differences between two femurs of one person. The volume is compared only between whole femurs."""

_VOLUME_DIFFERENCE = Difference("volume_ml", 0.25, relative=True)


def check_anatomy(femur: FemurMeasurements) -> list[Finding]:
    """Return findings about numbers that hardly any femur has; none for what could not be measured.

    Args:
        femur: Measurements of one femur.
    """
    values = _numbers(femur)
    problems: dict[str, list[str]] = {}
    for limit in LIMITS:
        problem = limit.problem(values)
        if problem:
            problems.setdefault(limit.code, []).append(problem)
    return [_finding(code, femur.case, _of_side(femur), texts) for code, texts in problems.items()]


def check_pair(one: FemurMeasurements, other: FemurMeasurements) -> list[Finding]:
    """Return the finding that two femurs of one person differ too much; none if they are alike.

    Args:
        one: Measurements of one femur.
        other: Measurements of the other femur.
    """
    first, second = _numbers(one), _numbers(other)
    whole = is_whole(first) and is_whole(second)
    problems = [limit.problem(first, second) for limit in (*DIFFERENCES, *((_VOLUME_DIFFERENCE,) if whole else ()))]
    found = [problem for problem in problems if problem]
    return [_finding("legs-differ", one.case, "the femurs differ: ", found)] if found else []


def has_end(femur: FemurMeasurements) -> bool:
    """Return True if a head or a whole distal end was found in the measured bone."""
    return "head_radius_mm" in femur.values or is_whole(femur.values)


def check_completeness(femur: FemurMeasurements, cut: Sequence[str], extent_mm: float) -> list[Finding]:
    """Return the finding about an end of the bone that is missing, or about a shape that is not that of one femur.

    An end that the field of view cuts off is not reported: it is at the superior side for the head, at the inferior
    side for the condyles, and it can be at any side where the leg leaves the volume sideways.

    Args:
        femur: Measurements of one femur.
        cut: Sides of the volume that the mask touches.
        extent_mm: Largest extent of the mask along an axis of the volume.
    """
    if cut and extent_mm < SHORTEST_MM:
        return []
    anatomy = femur.anatomy
    upside_down = anatomy is not None and anatomy.up is not None and anatomy.up[2] < 0
    proximal, distal = ("inferior", "superior") if upside_down else ("superior", "inferior")
    sideways = bool(set(cut) - {"superior", "inferior"})
    no_head, no_distal_end = femur.missing.get("head_radius_mm"), femur.missing.get("length_mechanical_mm")
    reason = no_head or no_distal_end
    if reason is None or reason.code == "not-measured":
        return []
    if no_head is None:
        code, explained = "end-not-found", sideways or distal in cut
    elif no_head.code in _NOT_ONE_FEMUR:
        code, explained = "not-one-femur", False
    else:
        code, explained = "head-not-found", sideways or proximal in cut
    if explained:
        return []
    return [_finding(code, femur.case, _of_side(femur), [_as_clause(reason.text)])]


def check_protrusions(femur: FemurMeasurements) -> list[Finding]:
    """Return the finding about something that protrudes from the head or from below the condyles.

    Args:
        femur: Measurements of one femur.
    """
    texts = {reason.text for reason in femur.missing.values() if reason.code in _PROTRUSIONS}
    return [_finding("protrusion", femur.case, _of_side(femur), map(_as_clause, sorted(texts)))] if texts else []


def _numbers(femur: FemurMeasurements) -> dict[str, float]:
    """Return the measured numbers of a femur, and those of its condyles."""
    numbers = {key: value for key, value in femur.values.items() if not isinstance(value, tuple)}
    distal = None if femur.anatomy is None else femur.anatomy.distal
    if distal is not None:
        medial, lateral = distal.medial_condyle, distal.lateral_condyle
        numbers[_CONDYLE_COVERED] = min(medial.covered, lateral.covered)
        numbers[_CONDYLE_RATIO] = medial.radius_mm / lateral.radius_mm
    return numbers


def _as_clause(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _of_side(femur: FemurMeasurements) -> str:
    return "" if femur.side == UNKNOWN else f"{femur.side} femur: "


def _finding(code: str, case: str, start: str, problems: Iterable[str]) -> Finding:
    return predicted(code, case, f"{start}{'; '.join(problems)}.")
