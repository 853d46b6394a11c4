"""One CT, from its file to a mask on its own grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.prediction.bone_box import bone_box
from nnunet_femur.prediction.cleaning import fill_holes, keep_largest
from nnunet_femur.prediction.judging import Verdict, judge
from nnunet_femur.prediction.predictor import logits_of_folds
from nnunet_femur.prediction.preparing import prepare
from nnunet_femur.prediction.restoring import restore
from nnunet_femur.volumes import AxisOrder, Geometry, oriented

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from numpy.typing import NDArray

    from nnunet_femur.prediction.options import Options
    from nnunet_femur.prediction.sources import Source

CANONICAL = "RAS"
"""The orientation that nnU-Net's readers with "WithReorient" in their name bring a volume to."""

_AIR_HU, _BONE_HU = -300.0, 200.0
"""A CT has values below the first and above the second."""


@dataclass(frozen=True)
class Segmented:
    """A femur in a CT.

    Attributes:
        mask_zyx: 1 in the femur, 0 elsewhere, on the CT's own grid.
        geometry: The CT's.
        disagreement: 1 minus the mean Dice of all pairs of folds; None with one fold.
        deviation_zyx: Standard deviation of the femur's probability over the folds; None unless asked for.
        verdict: Measures of the mask, and what is implausible about it.
        warnings: What is doubtful about the CT.
    """

    mask_zyx: NDArray[np.uint8]
    geometry: Geometry
    disagreement: float | None
    deviation_zyx: NDArray[np.float32] | None
    verdict: Verdict
    warnings: tuple[str, ...]


def segment(
    source: Source,
    predictor: nnUNetPredictor,
    *,
    femur: Sequence[int],
    options: Options,
    on_window: Callable[[int, int], None] | None = None,
) -> Segmented:
    """Segment the femur in one CT.

    Args:
        source: The CT.
        predictor: nnU-Net's predictor with the model.
        femur: Which of the model's labels are femur.
        options: How to do it.
        on_window: Told after each pass through the network how many are done, and of how many.

    Raises:
        FemurError: The CT cannot be read, or the network does not fit into memory.
    """
    import SimpleITK as sitk

    image = source.read().image
    geometry = Geometry.of(image)
    reader = predictor.plans_manager.plans.get("image_reader_writer", "")
    if reader.endswith("WithReorient"):
        image = oriented(image, CANONICAL)
    seen = Geometry.of(image)
    voxels = sitk.GetArrayViewFromImage(image)
    warnings = _doubts(voxels)
    box = bone_box(voxels, seen.spacing_mm_zyx) if options.crop_to_bone else (slice(None),) * 3
    prepared = prepare(voxels[box], seen.spacing_mm_zyx, predictor)
    # From here on the CT itself is not needed, and the network needs the memory.
    del voxels, image
    logits = logits_of_folds(predictor, prepared.data, half=options.half, on_window=on_window)
    wants_map = options.uncertainty and len(logits) > 1
    restored = restore(logits, prepared, predictor, femur=femur, deviation=wants_map)
    order = AxisOrder.between(seen, geometry)
    mask = np.ascontiguousarray(order.of_array(_put_back(restored.mask_zyx, box, seen)))
    if options.largest_component:
        mask = keep_largest(mask)
    if options.fill_holes:
        mask = fill_holes(mask)
    deviation = restored.deviation_zyx
    if deviation is not None:
        deviation = np.ascontiguousarray(order.of_array(_put_back(deviation, box, seen)))
    return Segmented(mask, geometry, restored.disagreement, deviation, judge(mask, geometry), warnings)


def _put_back(part_zyx: NDArray, box: tuple[slice, ...], geometry: Geometry) -> NDArray:
    if part_zyx.shape == geometry.shape_zyx:
        return part_zyx
    whole = np.zeros(geometry.shape_zyx, part_zyx.dtype)
    whole[box] = part_zyx
    return whole


def _doubts(voxels: NDArray) -> tuple[str, ...]:
    lowest, highest = float(voxels.min()), float(voxels.max())
    if lowest < _AIR_HU and highest > _BONE_HU:
        return ()
    return (f"grey values from {lowest:g} to {highest:g}, so this may be no CT in HU",)
