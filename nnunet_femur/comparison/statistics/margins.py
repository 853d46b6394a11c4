"""The method that others are compared with, and how much worse than it a method may be."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from nnunet_femur.arguments import suggestion
from nnunet_femur.comparison.clinical.endpoints import MAIN, PROTOCOL
from nnunet_femur.comparison.predictions import method_names
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nnunet_femur.comparison.grouping import Entry, Group, Measure

_Known = TypeVar("_Known")

DEFAULT_METRIC = "dice"
"""Metric of a margin without a name."""

ANALYSED = ("dice", "iou", "vs", "hd95", "assd", "nsd2")
"""Metrics of the whole volume that are analysed."""

NAMES = (*ANALYSED, *MAIN)
"""Names that a margin can have: those metrics, and the main clinical measurements."""


@dataclass(frozen=True)
class Margins:
    """A method to compare with, and the margin of each score.

    Attributes:
        against: Name of the method, or a part of it, such as "TotalSegmentator". A name that begins with the text takes
            precedence over one that contains it.
        by_name: Largest loss that does not count, in the unit of the score, by name of a metric of the whole volume
            ("dice", "hd95") or of a main clinical measurement ("neck_shaft_angle_deg").

    Raises:
        InputError: There is no margin, one is not above 0, or a name is not one of :data:`NAMES` (code
            "invalid-option").

    Example:
        >>> Margins("TotalSegmentator", {"dice": 0.01, "hd95": 1.0}).by_name["hd95"]
        1.0
        >>> Margins("TotalSegmentator", {"dice": 0.0})
        Traceback (most recent call last):
        nnunet_femur.errors.InputError: The margin of dice must be a number above 0, got 0.0.
    """

    against: str
    by_name: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse invalid margins."""
        if not self.by_name:
            msg = f"{self.against}: a margin is needed to compare with it. Pass --margin 0.01, or --margin hd95=1."
            raise InputError(msg, code="invalid-option")
        for name, margin in self.by_name.items():
            if name not in NAMES:
                msg = f"A margin must have the name of a metric or measurement, got {name!r}.{suggestion(name, NAMES)}"
                raise InputError(msg, code="invalid-option")
            if not (isinstance(margin, (int, float)) and math.isfinite(margin) and margin > 0):
                msg = f"The margin of {name} must be a number above 0, got {margin!r}."
                raise InputError(msg, code="invalid-option")

    def of_measure(self, measure: Measure) -> float | None:
        """Return the margin of a measure; None if it has none.

        Metrics have a margin in the whole bone's volume only.
        """
        whole = measure[:3] == ("volume", "all", "whole")
        return self.by_name.get(measure.metric) if whole or measure.protocol == PROTOCOL else None

    def entry_of(self, group: Group) -> Entry | None:
        """Return the method or second reader of a group that others are compared with; None if it has none.

        Raises:
            InputError: Several entries have the name (code "invalid-option").
        """
        everyone = (*group.entries, *group.raters)
        found = self._named([(entry, (entry.method, entry.name, entry.label)) for entry in everyone])
        return found[0] if found else None

    def require_among(self, methods: Iterable[str]) -> None:
        """Check that one of the methods that will be compared has the name.

        Args:
            methods: Methods and second readers as in scores.csv. If several datasets are compared, each of them may
                have one.

        Raises:
            InputError: No method has the name, or several have it (code "invalid-option").
        """
        names = method_names(methods)
        datasets = {method.rpartition("/")[0] for method in names}
        named = [
            self._named([(each, (each, name)) for each, name in names.items() if each.rpartition("/")[0] == dataset])
            for dataset in datasets
        ]
        if not any(named):
            msg = f"{self.against}: no method has this name.{suggestion(self.against, names.values())}"
            raise InputError(msg, code="invalid-option")

    def _named(self, known: Sequence[tuple[_Known, Sequence[str]]]) -> list[_Known]:
        """Return the only object that has the name, else whose name begins with it, else whose name contains it.

        So "TotalSegmentator" is the baseline, also beside a network that was fine-tuned from TotalSegmentator's plans.

        Returns:
            The object; empty if no name contains the text.
        """
        wanted = self.against.casefold()
        found: list[tuple[_Known, Sequence[str]]] = []
        for fits in (str.__eq__, str.startswith, str.__contains__):
            found = found or [
                (one, names) for one, names in known if any(fits(name.casefold(), wanted) for name in names)
            ]
        if len(found) > 1:
            labels = ", ".join(names[-1] for _, names in found)
            msg = f"{self.against}: is the name of several methods ({labels}). Pass --against with the whole name."
            raise InputError(msg, code="invalid-option")
        return [one for one, _ in found]


def parse_margins(texts: Sequence[str]) -> dict[str, float]:
    """Return the margins of a command line by name.

    Args:
        texts: Margins as NAME=NUMBER, or a number alone for 3D Dice.

    Raises:
        InputError: A text is not such a margin (code "invalid-option").

    Example:
        >>> parse_margins(["0.01", "hd95=1"])
        {'dice': 0.01, 'hd95': 1.0}
    """
    by_name = {}
    for text in texts:
        name, given, value = text.rpartition("=")
        try:
            by_name[name if given else DEFAULT_METRIC] = float(value)
        except ValueError as error:
            msg = f"--margin must be a number or NAME=NUMBER, got {text!r}."
            raise InputError(msg, code="invalid-option") from error
    return by_name
