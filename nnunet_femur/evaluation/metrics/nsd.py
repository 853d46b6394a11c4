"""Normalised surface distance, also called surface Dice, at a tolerance in mm."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nnunet_femur.evaluation.metrics.metric import SurfaceMetric

if TYPE_CHECKING:
    from nnunet_femur.evaluation.distances import SurfaceDistances

TOLERANCES_MM = (1, 2, 3)
"""The tolerances that are scored."""


def normalised_surface_distance(distances: SurfaceDistances, tolerance_mm: float) -> float:
    """Share of both surfaces' area within `tolerance_mm` of the other surface, in [0, 1]; NaN without any."""
    sides = (
        (distances.truth_mm, distances.truth_areas_mm2),
        (distances.prediction_mm, distances.prediction_areas_mm2),
    )
    area = sum(float(areas.sum()) for _, areas in sides)
    within = sum(float(areas[mm <= tolerance_mm].sum()) for mm, areas in sides)
    return within / area if area > 0 else float("nan")


NSD = tuple(
    SurfaceMetric(
        name=f"nsd{tolerance_mm}",
        label=f"NSD {tolerance_mm} mm",
        formula=f"area of both surfaces with d ≤ {tolerance_mm} mm / area of both",
        family="surface",
        source="Nikolov et al. (2018), google-deepmind/surface-distance",
        compute=partial(normalised_surface_distance, tolerance_mm=tolerance_mm),
    )
    for tolerance_mm in TOLERANCES_MM
)
"""One metric per tolerance."""
