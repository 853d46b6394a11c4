"""Metrics of surface distances: Hausdorff distance, HD95, ASSD and NSD."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.evaluation.metrics.metric import SurfaceMetric

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.evaluation.distances import SurfaceDistances


def robust_hausdorff_mm(distances: SurfaceDistances, share: float) -> float:
    """The distance within which `share` of either surface's area lies from the other surface, in mm.

    The larger of both directions, as in google-deepmind/surface-distance. A side without surfels is left out,
    which happens where a region of the bone holds surfels of one mask only; NaN without any.

    Args:
        distances: Distances of reference and prediction.
        share: Share of the area, in (0, 1]; 1 gives the Hausdorff distance.
    """
    sides = (
        (distances.reference_mm, distances.reference_areas_mm2),
        (distances.prediction_mm, distances.prediction_areas_mm2),
    )
    return max((_percentile(*side, share) for side in sides if side[0].size), default=float("nan"))


def _percentile(ascending_mm: NDArray[np.float64], areas: NDArray[np.float64], share: float) -> float:
    place = int(np.searchsorted(np.cumsum(areas) / np.sum(areas), share))
    return float(ascending_mm[min(place, ascending_mm.size - 1)])


def hausdorff_mm(distances: SurfaceDistances) -> float:
    """Largest distance of a surfel from the other surface in mm."""
    return robust_hausdorff_mm(distances, 1.0)


def hausdorff_95_mm(distances: SurfaceDistances) -> float:
    """Distance in mm that 95 % of either surface's area does not exceed."""
    return robust_hausdorff_mm(distances, 0.95)


HAUSDORFF_95 = SurfaceMetric(
    name="hd95",
    label="HD95",
    formula="max(P95 of d(reference surface → prediction), P95 of d(prediction surface → reference)), weighted by area",
    family="surface",
    source="Nikolov et al. (2018), google-deepmind/surface-distance",
    ideal=0.0,
    unit="mm",
    compute=hausdorff_95_mm,
)

HAUSDORFF = SurfaceMetric(
    name="hd",
    label="HD",
    formula="max(max d(reference surface → prediction), max d(prediction surface → reference))",
    family="surface",
    source="Hausdorff (1914)",
    ideal=0.0,
    unit="mm",
    compute=hausdorff_mm,
)


def average_symmetric_surface_distance_mm(distances: SurfaceDistances) -> float:
    """Mean distance in mm over the area of both surfaces together; NaN without any.

    It weighs every mm² alike. The mean of the two directions' means, which some call ASSD, weighs the smaller
    surface more.
    """
    sides = (
        (distances.reference_mm, distances.reference_areas_mm2),
        (distances.prediction_mm, distances.prediction_areas_mm2),
    )
    area = sum(float(areas.sum()) for _, areas in sides)
    total = sum(float((mm * areas).sum()) for mm, areas in sides)
    return total / area if area > 0 else float("nan")


ASSD = SurfaceMetric(
    name="assd",
    label="ASSD",
    formula="(Σ area · d(reference surface → prediction) + Σ area · d(prediction surface → reference)) / area of both",
    family="surface",
    source="Heimann et al. (2009), surfels of google-deepmind/surface-distance",
    ideal=0.0,
    unit="mm",
    compute=average_symmetric_surface_distance_mm,
)


TOLERANCES_MM = (1, 2, 3)
"""The tolerances that are scored."""


def normalised_surface_distance(distances: SurfaceDistances, tolerance_mm: float) -> float:
    """Share of both surfaces' area within `tolerance_mm` of the other surface, in [0, 1]; NaN without any."""
    sides = (
        (distances.reference_mm, distances.reference_areas_mm2),
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
