"""Femurs of a mask, and their measurements as a comparison keeps them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.clinical.case_ct import MEAN_HU, NO_CT, UNREADABLE, CaseCt
from nnunet_femur.evaluation import Scoring, read_mask
from nnunet_femur.evaluation.mask_input import on_one_grid
from nnunet_femur.imaging.boxes import box_of
from nnunet_femur.measurement.femur_measurements import FemurMeasurements
from nnunet_femur.measurement.quantities import QUANTITIES
from nnunet_femur.measurement.separation import separate_bones

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.evaluation import Mask
    from nnunet_femur.imaging.geometry import Geometry
    from nnunet_femur.measurement.femur_measurements import Value

Engine = Callable[..., FemurMeasurements]
"""Function with the arguments and the result of :func:`nnunet_femur.measurement.measuring.measure_mask`."""

FAILED = "measuring-failed"
"""Reason for which a quantity of a mask, or all of them, are unknown: an error while it was measured."""


@dataclass(frozen=True)
class MeasuredFemur:
    """Measurements of one femur of a mask.

    Attributes:
        side: "left", "right" or "unknown".
        center_mm: Centre of its voxels in LPS mm; None for an empty mask.
        values: Value of each measured quantity by key.
        missing: Code of the reason, by key, for each quantity that could not be measured.
    """

    side: str
    center_mm: tuple[float, float, float] | None
    values: dict[str, Value] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def reason(self, quantity: str) -> str:
        """Return the code of the reason for which a quantity is missing; empty if it was measured."""
        return "" if quantity in self.values else self.missing.get(quantity, FAILED)


MeasuredMask = tuple[MeasuredFemur, ...]
"""The femurs of one mask, at least one; that of an empty mask has no values."""

NOTHING: MeasuredMask = (MeasuredFemur("unknown", None),)
"""A mask whose measuring failed."""


@dataclass(frozen=True)
class CaseMasks:
    """Masks of one case that are measured together, so that the CT is read once.

    Attributes:
        reference: The reference mask; predictions are read along its axes.
        masks: The masks to measure, which may include the reference.
        ct: The CT of the case; None without one.
        scoring: Options that determine which voxels of a mask are femur.
    """

    reference: Path
    masks: tuple[Path, ...]
    ct: Path | None
    scoring: Scoring


def is_lasting(mask: MeasuredMask) -> bool:
    """Return True if another run would measure the same; False after an error, which may have been one of the moment.

    Example:
        >>> is_lasting(NOTHING), is_lasting((MeasuredFemur("left", None, {}, {"hu_mean": "no-ct"}),))
        (False, True)
    """
    return mask != NOTHING and not any(femur.missing.get(MEAN_HU.key) in (FAILED, UNREADABLE) for femur in mask)


def measure_masks(case: CaseMasks, engine: Engine | None = None) -> list[MeasuredMask]:
    """Measure the femurs of the masks of one case; the result of a mask that cannot be measured is :data:`NOTHING`.

    Args:
        case: The masks.
        engine: Measures one femur. Default: :func:`nnunet_femur.measurement.measuring.measure_mask`.
    """
    read = partial(read_mask, segments=case.scoring.segments, labels=case.scoring.labels)
    try:
        reference = read(case.reference)
    except Exception:  # noqa: BLE001 - as below
        return [NOTHING] * len(case.masks)
    ct = CaseCt.read(case.ct, reference)
    found = []
    for path in case.masks:
        try:
            mask = reference
            if path != case.reference:
                _, mask = on_one_grid(reference, read(path, like=reference.geometry))
            found.append(measure_femurs(mask, ct=ct, engine=engine))
        except Exception:  # noqa: BLE001 - no problem of one mask may end the comparison; it is counted and named
            found.append(NOTHING)
    return found


def default_engine() -> Engine:
    """Return the function that measures one femur."""
    from nnunet_femur.measurement.measuring import measure_mask

    return measure_mask


def failed(case: CaseMasks) -> list[MeasuredMask]:
    """Return the result of masks whose process ended unexpectedly."""
    return [NOTHING] * len(case.masks)


def measure_femurs(mask: Mask, *, ct: CaseCt | None = None, engine: Engine | None = None) -> MeasuredMask:
    """Measure every femur of a mask.

    Args:
        mask: The mask.
        ct: The CT on the grid of the mask; None without one.
        engine: As in :func:`measure_masks`.
    """
    measure, ct = engine or default_engine(), ct or CaseCt(None, NO_CT)
    found = []
    for voxels in separate_bones(mask.voxels, mask.geometry) or [mask.voxels]:
        one = measure(voxels, mask.geometry, case=mask.name)
        values = {key: _plain(value) for key, value in one.values.items() if key in QUANTITIES}
        missing = {key: reason.code for key, reason in one.missing.items() if key in QUANTITIES}
        try:
            mean_hu = ct.mean_hu(voxels, mask.geometry, mask.name)
        except Exception:  # noqa: BLE001 - the measurements of the shape must not be lost
            mean_hu = FAILED
        if isinstance(mean_hu, str):
            missing[MEAN_HU.key] = mean_hu
        else:
            values[MEAN_HU.key] = mean_hu
        found.append(MeasuredFemur(one.side, _center_mm(voxels, mask.geometry), values, missing))
    return tuple(found)


def _plain(value: Value) -> Value:
    """Return a value as Python numbers, as JSON stores them."""
    if isinstance(value, float | int):
        return float(value)
    x, y, z = (float(each) for each in np.ravel(value))
    return x, y, z


def _center_mm(voxels_zyx: NDArray[np.bool_], geometry: Geometry) -> tuple[float, float, float] | None:
    """Return the mean position of the voxels of a mask in LPS mm."""
    box = box_of(voxels_zyx)
    part = voxels_zyx[box]
    if not part.any():
        return None
    index_zyx = []
    for axis in range(3):
        counts = part.sum(axis=tuple(other for other in range(3) if other != axis), dtype=np.int64)
        index_zyx.append(box[axis].start + float(counts @ np.arange(len(counts))) / float(counts.sum()))
    x, y, z = geometry.steps_mm @ np.array(index_zyx[::-1]) + geometry.origin_mm_xyz
    return float(x), float(y), float(z)
