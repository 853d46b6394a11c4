"""Metrics of surface distances: HD95, Hausdorff distance, ASSD and NSD.

d is the distance in mm of a surfel from the nearest surfel of the other surface.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.evaluation.metrics.metric import SurfaceMetric

if TYPE_CHECKING:
    from nnunet_femur.evaluation.distances import Side, SurfaceDistances

TOLERANCES_MM = (1, 2, 3)
"""Tolerances of the normalised surface distance in mm; each is a metric."""


def hausdorff_mm(distances: SurfaceDistances, *, share: float = 1.0) -> float:
    """Return the distance in mm that `share` of each surface's area does not exceed.

    Defined as in google-deepmind/surface-distance: the larger value of both surfaces. A surface without surfels is left
    out, as in a region that contains surfels of one mask only; NaN if both have none.

    Args:
        distances: Distances of reference and prediction.
        share: Share of the area, in (0, 1]; 1 gives the Hausdorff distance.
    """
    return max((_percentile(side, share) for side in distances.sides if side[0].size), default=float("nan"))


def _percentile(side: Side, share: float) -> float:
    ascending_mm, areas = side
    place = int(np.searchsorted(np.cumsum(areas) / np.sum(areas), share))
    return float(ascending_mm[min(place, ascending_mm.size - 1)])


def average_symmetric_surface_distance_mm(distances: SurfaceDistances) -> float:
    """Return the mean distance in mm over the area of both surfaces together; NaN without any.

    It weights every mm² equally. Some programs call the mean of both directions' means ASSD, which gives the smaller
    surface more weight.
    """
    total = sum(float((mm * areas).sum()) for mm, areas in distances.sides)
    return _per_area(total, distances)


def normalised_surface_distance(distances: SurfaceDistances, *, tolerance_mm: float) -> float:
    """Return the share of both surfaces' area within `tolerance_mm` of the other, in [0, 1]; NaN without any."""
    within = sum(float(areas[mm <= tolerance_mm].sum()) for mm, areas in distances.sides)
    return _per_area(within, distances)


def _per_area(total: float, distances: SurfaceDistances) -> float:
    area = sum(float(areas.sum()) for _, areas in distances.sides)
    return total / area if area > 0 else float("nan")


SURFACE_ENTRIES = (
    SurfaceMetric(
        name="hd95",
        label="HD95",
        formula="max(P95 of d(reference surface → prediction), P95 of d(prediction surface → reference)), "
        "weighted by area",
        family="surface",
        source="Nikolov et al. (2018), google-deepmind/surface-distance",
        ideal=0.0,
        unit="mm",
        compute=partial(hausdorff_mm, share=0.95),
    ),
    SurfaceMetric(
        name="hd",
        label="HD",
        formula="max(max d(reference surface → prediction), max d(prediction surface → reference))",
        family="surface",
        source="Hausdorff (1914)",
        ideal=0.0,
        unit="mm",
        compute=hausdorff_mm,
    ),
    SurfaceMetric(
        name="assd",
        label="ASSD",
        formula="(Σ area · d(reference surface → prediction) + Σ area · d(prediction surface → reference)) / "
        "area of both",
        family="surface",
        source="Heimann et al. (2009), surfels of google-deepmind/surface-distance",
        ideal=0.0,
        unit="mm",
        compute=average_symmetric_surface_distance_mm,
    ),
    *(
        SurfaceMetric(
            name=f"nsd{tolerance_mm}",
            label=f"NSD {tolerance_mm} mm",
            formula=f"area of both surfaces with d ≤ {tolerance_mm} mm / area of both",
            family="surface",
            source="Nikolov et al. (2018), google-deepmind/surface-distance",
            compute=partial(normalised_surface_distance, tolerance_mm=tolerance_mm),
        )
        for tolerance_mm in TOLERANCES_MM
    ),
)
"""Metrics of surface distances in the order of tables."""
