"""HU and bone mineral density of a femur and of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.density.bone_parts import PARTS
from nnunet_femur.measurement.density.ct_quantities import WHOLE, part_key
from nnunet_femur.measurement.femur_measurements import Missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nnunet_femur.measurement.density.bone_parts import BoneParts
    from nnunet_femur.measurement.density.calibration import Calibration

_LEAST_VOXELS = 10
"""Least number of measured voxels, of all, of the interior, and of the outermost layer, for a mean."""

_LEAST_MEASURED = 0.5
"""Least share of a part's voxels that must be measured; with more metal or padding its values are missing."""

_HU_KINDS = ("hu_mean{}", "hu_median{}", "hu_sd{}", "hu_mean_interior{}", "hu_mean_shell{}")
_BMD_KINDS = {"bmd_mean{}_mg_cm3": "hu_mean{}", "bmd_mean_interior{}_mg_cm3": "hu_mean_interior{}"}

NO_CALIBRATION = Missing("no-calibration", "No calibration of the CT was given.")


def outermost(mask_zyx: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the outermost voxels of a mask: those with a face towards a voxel outside of it.

    A face at the border of the volume does not count.

    Example:
        >>> cube = np.zeros((5, 5, 5), bool)
        >>> cube[1:4, 1:4, 1:4] = True
        >>> int(outermost(cube).sum())
        26
    """
    inner = mask_zyx.copy()
    for axis in range(mask_zyx.ndim):
        low = (slice(None),) * axis + (slice(None, -1),)
        high = (slice(None),) * axis + (slice(1, None),)
        inner[low] &= mask_zyx[high]
        inner[high] &= mask_zyx[low]
    return mask_zyx & ~inner


def density_values(
    hu: NDArray,
    shell: NDArray[np.bool_],
    excluded: Mapping[str, NDArray[np.bool_]],
    parts: BoneParts,
    *,
    voxel_ml: float,
    calibration: Calibration | None,
) -> tuple[dict[str, float], dict[str, Missing]]:
    """Return HU and density of the femur and of its parts.

    Args:
        hu: Values of the mask's voxels, shape (n,).
        shell: The outermost of these voxels, shape (n,).
        excluded: Voxels that contain no measured bone, by reason: "metal", "padding".
        parts: The part of each voxel.
        voxel_ml: Volume of a voxel in ml.
        calibration: Calibration to mg/cm3; None without one.

    Returns:
        The values by key, and the reason for each value that is missing.
    """
    values: dict[str, float] = {}
    missing: dict[str, Missing] = {}
    lost = np.zeros(len(hu), bool)
    for each in excluded.values():
        lost |= each
    for part in (WHOLE, *PARTS):
        if part in parts.missing:
            kinds = (*_HU_KINDS, *_BMD_KINDS, "volume{}_ml", "voxels{}")
            missing.update({part_key(kind, part): parts.missing[part] for kind in kinds})
            continue
        inside = parts.of(part) if part else np.ones(len(hu), bool)
        count = int(np.count_nonzero(inside))
        if part:
            values[part_key("volume{}_ml", part)] = count * voxel_ml
        measured = inside & ~lost
        values[part_key("voxels{}", part)] = float(np.count_nonzero(measured))
        reason = _too_few(inside, measured, excluded)
        means = _hu_values(hu, measured, shell) if reason is None else {}
        for kind in _HU_KINDS:
            key = part_key(kind, part)
            if kind in means:
                values[key] = means[kind]
            else:
                missing[key] = reason or _TOO_FEW
        for kind, of_hu in _BMD_KINDS.items():
            key = part_key(kind, part)
            if of_hu not in means:
                missing[key] = reason or _TOO_FEW
            elif calibration is None:
                missing[key] = NO_CALIBRATION
            else:
                values[key] = calibration.density_mg_cm3(means[of_hu])
    return values, missing


def _hu_values(hu: NDArray, measured: NDArray[np.bool_], shell: NDArray[np.bool_]) -> dict[str, float]:
    """Return the statistics of a part that has enough voxels, by kind; without those of too few voxels."""
    of_all = hu[measured].astype(np.float64)
    found = {
        "hu_mean{}": float(of_all.mean()),
        "hu_median{}": float(np.median(of_all)),
        "hu_sd{}": float(of_all.std(ddof=1)),
    }
    for kind, voxels in (("hu_mean_interior{}", measured & ~shell), ("hu_mean_shell{}", measured & shell)):
        if np.count_nonzero(voxels) >= _LEAST_VOXELS:
            found[kind] = float(hu[voxels].astype(np.float64).mean())
    return found


def _too_few(
    inside: NDArray[np.bool_], measured: NDArray[np.bool_], excluded: Mapping[str, NDArray[np.bool_]]
) -> Missing | None:
    """Return the reason for which a part has too few measured voxels; None if it has enough."""
    count, kept = int(np.count_nonzero(inside)), int(np.count_nonzero(measured))
    if kept >= _LEAST_VOXELS and kept >= _LEAST_MEASURED * count:
        return None
    if count < _LEAST_VOXELS:
        return _TOO_FEW
    main = max(excluded, key=lambda name: np.count_nonzero(inside & excluded[name]))
    return Missing(main, f"{1 - kept / count:.0%} of the voxels are excluded, mainly because of {main}.")


_TOO_FEW = Missing("too-few-voxels", f"Fewer than {_LEAST_VOXELS} voxels can be measured.")
