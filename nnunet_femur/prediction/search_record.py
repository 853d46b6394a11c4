"""Record of the part of a CT in which the femur was searched."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nnunet_femur.prediction.prediction_kinds import predicted

if TYPE_CHECKING:
    from nnunet_femur.findings import Finding

EVERYWHERE, AROUND_FEMUR = "everywhere", "around-femur"
"""Parts of a CT that a network can have predicted."""

OWN_WINDOWS, CROP_MODEL = "own-windows", "totalsegmentator-6mm"
"""Localisers: a sparse subset of the model's own windows, and TotalSegmentator's 6 mm model."""

LOCALISERS = {OWN_WINDOWS: "a part of the model's windows", CROP_MODEL: "TotalSegmentator's 6 mm model"}
"""Names of the localisers in messages."""


@dataclass(frozen=True)
class Search:
    """Part of a CT in which the femur was searched.

    Attributes:
        region: "everywhere" if all windows were computed; "around-femur" if only those that reach within 25 mm of the
            femur. In the latter case, voxels farther away are not femur.
        windows: Number of windows that were computed, over all folds and without mirrored passes.
        windows_of_grid: Number of windows of nnU-Net's whole grid, over all folds.
        localisers: The localisers that were used, in their order: "totalsegmentator-6mm", "own-windows". Each but the
            last found nothing. Empty if all windows were computed from the start.
        found: False if no localiser found a femur, so that all windows were computed.
        widened: Number of times that the region was widened because the femur reached within 25 mm of windows that had
            not been computed.

    Example:
        >>> Search("around-femur", windows=12, windows_of_grid=48, localisers=("own-windows",)).as_dict()["windows"]
        12
    """

    region: str
    windows: int
    windows_of_grid: int
    localisers: tuple[str, ...] = ()
    found: bool = True
    widened: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the record as JSON content."""
        return {**asdict(self), "localisers": list(self.localisers)}


def about_search(case: str, search: Search | None) -> tuple[Finding, ...]:
    """Return the finding about a CT in which no localiser found the femur."""
    if search is None or search.found:
        return ()
    names = " and ".join(LOCALISERS[name] for name in search.localisers)
    problem = f"was searched everywhere, since no femur was found by {names}."
    return (predicted("not-localised", case, problem),)
