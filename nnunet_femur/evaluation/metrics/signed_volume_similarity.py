"""Signed volume similarity, as the study defines it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.evaluation.metrics.metric import OverlapMetric, ratio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnunet_femur.evaluation.overlap import Overlap


def signed_volume_similarity(pairs: Overlap) -> NDArray[np.float64]:
    """Signed volume similarity 1 - (Vgt - Vpred) / (Vgt + Vpred), in [0, 2]; NaN for two empty masks.

    Above 1 the prediction is too large. This is the study's definition. Taha & Hanbury's (2015) is unsigned,
    and ITK's ``GetVolumeSimilarity`` is 2 (Vpred - Vgt) / (Vpred + Vgt).
    """
    return 1 - ratio(pairs.truth - pairs.prediction, pairs.truth + pairs.prediction)


SIGNED_VOLUME_SIMILARITY = OverlapMetric(
    name="vs",
    label="VS",
    formula="1 − (Vgt − Vpred) / (Vgt + Vpred)",
    family="volume",
    source="Pivi & Fusconi (2024)",
    compute=signed_volume_similarity,
    in_slices=True,
)
