"""Where in a CT there can be bone at all: a shortcut for CTs that show much else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.boxes import box_of
from nnunet_femur.prediction.cleaning import label_pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BONE_HU = 150.0
"""Denser than soft tissue; the cortex of bone is far above it."""

MARGIN_MM = 25.0
"""What is kept around bone: its less dense ends, and what the network sees around it."""

_SAMPLE_MM, _SPECK_ML = 2.5, 5.0
"""Distance of the voxels that are looked at, and the volume below which something dense is no bone to care for."""


def bone_box(voxels_zyx: NDArray, spacing_mm_zyx: Sequence[float]) -> tuple[slice, ...]:
    """The box that holds everything as dense as bone, with a margin; the whole CT if nothing is.

    Dense things that are no bone make the box larger, never smaller.

    Args:
        voxels_zyx: The CT in HU.
        spacing_mm_zyx: Distances of its voxels in mm.
    """
    steps = [max(1, int(_SAMPLE_MM / spacing)) for spacing in spacing_mm_zyx]
    dense = voxels_zyx[tuple(slice(None, None, step) for step in steps)] > BONE_HU
    sample_ml = float(np.prod([step * spacing for step, spacing in zip(steps, spacing_mm_zyx, strict=True)])) / 1000
    labels, sizes = label_pieces(dense)
    large = np.concatenate([[False], sizes * sample_ml >= _SPECK_ML])
    if not large.any():
        return tuple(slice(0, length) for length in voxels_zyx.shape)
    box = []
    for part, step, spacing, length in zip(box_of(large[labels]), steps, spacing_mm_zyx, voxels_zyx.shape, strict=True):
        margin = int(np.ceil(MARGIN_MM / spacing))
        box.append(slice(max(0, part.start * step - margin), min(length, part.stop * step + margin)))
    return tuple(box)
