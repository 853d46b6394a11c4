"""Average symmetric surface distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.evaluation.metrics.metric import SurfaceMetric

if TYPE_CHECKING:
    from nnunet_femur.evaluation.distances import SurfaceDistances


def average_symmetric_surface_distance_mm(distances: SurfaceDistances) -> float:
    """Mean distance in mm over the area of both surfaces together; NaN without any.

    It weighs every mm² alike. The mean of the two directions' means, which some call ASSD, weighs the smaller
    surface more.
    """
    sides = (
        (distances.truth_mm, distances.truth_areas_mm2),
        (distances.prediction_mm, distances.prediction_areas_mm2),
    )
    area = sum(float(areas.sum()) for _, areas in sides)
    total = sum(float((mm * areas).sum()) for mm, areas in sides)
    return total / area if area > 0 else float("nan")


ASSD = SurfaceMetric(
    name="assd",
    label="ASSD",
    formula="(Σ area · d(truth surface → prediction) + Σ area · d(prediction surface → truth)) / area of both",
    family="surface",
    source="Heimann et al. (2009), surfels of google-deepmind/surface-distance",
    ideal=0.0,
    unit="mm",
    compute=average_symmetric_surface_distance_mm,
)
