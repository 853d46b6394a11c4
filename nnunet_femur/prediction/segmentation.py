"""One CT, from its file to a mask on its own grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.geometry import AxisOrder, Geometry, VolumeError, oriented
from nnunet_femur.imaging.usability import require_usable
from nnunet_femur.kinds import KINDS
from nnunet_femur.prediction.export import restore
from nnunet_femur.prediction.plausibility import Verdict, judge
from nnunet_femur.prediction.postprocessing import fill_holes, keep_largest
from nnunet_femur.prediction.predictor import logits_of_folds
from nnunet_femur.prediction.preprocessing import bone_box, network_spacing_mm, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from numpy.typing import NDArray

    from nnunet_femur.imaging.reading import Volume
    from nnunet_femur.imaging.sources import Source
    from nnunet_femur.prediction.options import Options

CANONICAL = "RAS"
"""The orientation that nnU-Net's readers with "WithReorient" in their name bring a volume to."""


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
        FemurError: The CT cannot be read, is too thin, or is not in HU, or the network does not fit into memory.
    """
    import SimpleITK as sitk

    volume = source.read(any_values=options.any_values)
    image = volume.image
    geometry = Geometry.of(image)
    warnings = _warnings(source, volume, any_values=options.any_values)
    reader = predictor.plans_manager.plans.get("image_reader_writer", "")
    if reader.endswith("WithReorient"):
        image = oriented(image, CANONICAL)
    seen = Geometry.of(image)
    voxels = sitk.GetArrayViewFromImage(image)
    box = bone_box(voxels, seen.spacing_mm_zyx) if options.crop_to_bone else (slice(None),) * 3
    _require_thickness(source, voxels[box].shape, seen.spacing_mm_zyx, predictor)
    prepared = prepare(voxels[box], seen.spacing_mm_zyx, predictor)
    # From here on the CT itself is not needed, and the network needs the memory.
    del voxels, image, volume
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


def _warnings(source: Source, volume: Volume, *, any_values: bool) -> tuple[str, ...]:
    """Return what is doubtful about a CT, as short texts; refuse one that `nnfemur convert` would refuse."""
    import SimpleITK as sitk

    voxels = sitk.GetArrayViewFromImage(volume.image)
    of_values = require_usable(voxels, volume.header.geometry, source.path, any_values=any_values)
    # What was left out or corrected in reading is reported too, also where it is a note at convert.
    return tuple(found.problem.rstrip(".") for found in (*volume.header.findings, *of_values))


def _require_thickness(
    source: Source, shape_zyx: Sequence[int], spacing_mm_zyx: Sequence[float], predictor: nnUNetPredictor
) -> None:
    """Refuse a CT of which nothing would be left on the network's grid."""
    own_mm, wanted_mm = network_spacing_mm(predictor, spacing_mm_zyx)
    counts = [shape_zyx[axis] for axis in predictor.plans_manager.transpose_forward]
    for count, own, wanted in zip(counts, own_mm, wanted_mm, strict=True):
        if round(count * own / wanted) < 1:
            problem = f"covers {count * own:.3g} mm along one axis, less than a voxel of the model ({wanted:.3g} mm)."
            raise VolumeError(source.path, problem, KINDS["too-thin"].remedy, code="too-thin")
