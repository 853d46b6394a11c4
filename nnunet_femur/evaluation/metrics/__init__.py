"""The registry of metrics: a metric is one file and one line in :data:`METRICS`.

TP, FP and FN are counted in voxels, d is the distance of a surfel from the nearest one of the other surface in mm.
"""

from __future__ import annotations

from nnunet_femur.evaluation.metrics.metric import Metric, OverlapMetric, SurfaceMetric
from nnunet_femur.evaluation.metrics.overlap import DICE, IOU, PRECISION, RECALL
from nnunet_femur.evaluation.metrics.surface import ASSD, HAUSDORFF, HAUSDORFF_95, NSD
from nnunet_femur.evaluation.metrics.volume import ABSOLUTE_VOLUME_SIMILARITY, SIGNED_VOLUME_SIMILARITY

__all__ = ["METRICS", "OVERLAP_METRICS", "SURFACE_METRICS", "Metric", "OverlapMetric", "SurfaceMetric"]

_REGISTERED: tuple[Metric, ...] = (
    DICE,
    IOU,
    SIGNED_VOLUME_SIMILARITY,
    ABSOLUTE_VOLUME_SIMILARITY,
    PRECISION,
    RECALL,
    HAUSDORFF_95,
    HAUSDORFF,
    ASSD,
    *NSD,
)

METRICS = {metric.name: metric for metric in _REGISTERED}
"""Every metric by its name, in the order of tables."""

OVERLAP_METRICS = {name: metric for name, metric in METRICS.items() if isinstance(metric, OverlapMetric)}
"""Those that rest on counts of voxels."""

SURFACE_METRICS = {name: metric for name, metric in METRICS.items() if isinstance(metric, SurfaceMetric)}
"""Those that rest on distances of surfaces."""
