"""Metrics of volume: signed and absolute volume similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.evaluation.metrics.metric import OverlapMetric, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.evaluation.counts import Overlap


def signed_volume_similarity(pairs: Overlap) -> NDArray[np.float64]:
    """Signed volume similarity 1 - (Vgt - Vpred) / (Vgt + Vpred), in [0, 2]; NaN for two empty masks.

    Above 1 the prediction is too large. This is the study's definition. Taha & Hanbury's (2015) is unsigned,
    and ITK's ``GetVolumeSimilarity`` is 2 (Vpred - Vgt) / (Vpred + Vgt).
    """
    return 1 - ratio(pairs.reference - pairs.prediction, pairs.reference + pairs.prediction)


SIGNED_VOLUME_SIMILARITY = OverlapMetric(
    name="vs",
    label="VS",
    formula="1 − (Vgt − Vpred) / (Vgt + Vpred)",
    family="volume",
    source="Pivi & Fusconi (2024)",
    compute=signed_volume_similarity,
    in_slices=True,
)


def absolute_volume_similarity(pairs: Overlap) -> NDArray[np.float64]:
    """Absolute volume similarity 1 - |Vgt - Vpred| / (Vgt + Vpred), in [0, 1]; NaN for two empty masks.

    It is 1 for equal volumes wherever they lie, and equals 1 - |1 - VS|. In voxels it is Taha & Hanbury's
    1 - |FN - FP| / (2 TP + FP + FN).
    """
    return 1 - ratio(np.abs(pairs.reference - pairs.prediction), pairs.reference + pairs.prediction)


ABSOLUTE_VOLUME_SIMILARITY = OverlapMetric(
    name="avs",
    label="Absolute VS",
    formula="1 − |Vgt − Vpred| / (Vgt + Vpred)",
    family="volume",
    source="Taha & Hanbury (2015)",
    compute=absolute_volume_similarity,
)
