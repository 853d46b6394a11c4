"""Metrics of voxel counts: Dice, intersection over union, volume similarity, precision and recall.

TP, FP and FN are numbers of voxels. ``n.shared`` is TP, ``n.reference`` is TP + FN, ``n.prediction`` is TP + FP.
"""

from __future__ import annotations

import numpy as np

from nnunet_femur.evaluation.metrics.metric import OverlapMetric, ratio

OVERLAP_ENTRIES = (
    # In [0, 1]; NaN for two empty masks.
    OverlapMetric(
        name="dice",
        label="Dice",
        formula="2 TP / (2 TP + FP + FN)",
        family="overlap",
        source="Dice (1945)",
        compute=lambda n: ratio(2 * n.shared, n.reference + n.prediction),
        in_slices=True,
    ),
    # In [0, 1]; NaN for two empty masks.
    OverlapMetric(
        name="iou",
        label="IoU",
        formula="TP / (TP + FP + FN)",
        family="overlap",
        source="Jaccard (1912)",
        compute=lambda n: ratio(n.shared, n.union),
        in_slices=True,
    ),
    # In [0, 2], above 1 for a prediction that is too large; NaN for two empty masks. This is the study's definition.
    # Taha & Hanbury (2015) define an unsigned similarity; ITK's GetVolumeSimilarity is 2 (Vpred - Vgt) / (Vpred + Vgt).
    OverlapMetric(
        name="vs",
        label="VS",
        formula="1 − (Vgt − Vpred) / (Vgt + Vpred)",
        family="volume",
        source="Pivi & Fusconi (2024)",
        compute=lambda n: 1 - ratio(n.reference - n.prediction, n.reference + n.prediction),
        in_slices=True,
    ),
    # In [0, 1]; NaN for two empty masks. It is 1 for equal volumes at any place, and equals 1 - |1 - VS|. Taha &
    # Hanbury write it as 1 - |FN - FP| / (2 TP + FP + FN).
    OverlapMetric(
        name="avs",
        label="Absolute VS",
        formula="1 − |Vgt − Vpred| / (Vgt + Vpred)",
        family="volume",
        source="Taha & Hanbury (2015)",
        compute=lambda n: 1 - ratio(np.abs(n.reference - n.prediction), n.reference + n.prediction),
    ),
    # In [0, 1]; NaN for an empty prediction.
    OverlapMetric(
        name="precision",
        label="Precision",
        formula="TP / (TP + FP)",
        family="overlap",
        source="positive predictive value",
        compute=lambda n: ratio(n.shared, n.prediction),
    ),
    # In [0, 1]; NaN for an empty reference.
    OverlapMetric(
        name="recall",
        label="Recall",
        formula="TP / (TP + FN)",
        family="overlap",
        source="sensitivity",
        compute=lambda n: ratio(n.shared, n.reference),
    ),
)
"""Metrics of voxel counts in the order of tables."""
