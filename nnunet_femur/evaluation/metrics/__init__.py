"""The registry of metrics.

To add a metric, add one entry to the tuple in :mod:`~nnunet_femur.evaluation.metrics.overlap` (metrics of voxel counts)
or in :mod:`~nnunet_femur.evaluation.metrics.surface` (metrics of surface distances). Tables, policies for empty masks,
figures and ``nnfemur score`` list it from then on; its row in ``docs/scoring.md`` is written by hand.
"""

from __future__ import annotations

from nnunet_femur.evaluation.metrics.metric import Metric, OverlapMetric, SurfaceMetric
from nnunet_femur.evaluation.metrics.overlap import OVERLAP_ENTRIES
from nnunet_femur.evaluation.metrics.surface import SURFACE_ENTRIES

__all__ = ["METRICS", "OVERLAP_METRICS", "SURFACE_METRICS", "Metric", "OverlapMetric", "SurfaceMetric"]

OVERLAP_METRICS: dict[str, OverlapMetric] = {metric.name: metric for metric in OVERLAP_ENTRIES}
"""Metrics of voxel counts, by name."""

SURFACE_METRICS: dict[str, SurfaceMetric] = {metric.name: metric for metric in SURFACE_ENTRIES}
"""Metrics of surface distances, by name."""

METRICS: dict[str, Metric] = {**OVERLAP_METRICS, **SURFACE_METRICS}
"""All metrics by name, in the order of tables."""
