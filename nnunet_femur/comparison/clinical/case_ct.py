"""Mean CT value of predicted femurs, as :mod:`nnunet_femur.measurement` defines it: without metal and padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.reference_masks import read_ct_like
from nnunet_femur.findings import errors_of
from nnunet_femur.imaging.hounsfield import IMAGE_CHECKS
from nnunet_femur.measurement.density.bone_parts import PARTS, BoneParts
from nnunet_femur.measurement.density.ct_quantities import CT_QUANTITIES
from nnunet_femur.measurement.density.density import density_values
from nnunet_femur.measurement.density.unmeasured import MeasuredCt, find_unmeasured
from nnunet_femur.measurement.femur_measurements import Missing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.evaluation import Mask
    from nnunet_femur.imaging.geometry import Geometry

MEAN_HU = CT_QUANTITIES["hu_mean"]
"""The quantity that is measured in the CT."""

NO_CT, OTHER_GRID, UNREADABLE, EMPTY = "no-ct", "ct-grid-differs", "ct-unreadable", "empty-mask"
"""Codes of reasons for which a femur has no mean CT value, besides those of the checks of CTs."""


@dataclass(frozen=True, eq=False)
class CaseCt:
    """The CT of a case.

    Attributes:
        ct: The CT on the grid of the reference mask; None if it cannot be used.
        reason: Code of the reason for which it cannot be used.
    """

    ct: MeasuredCt | None
    reason: str = ""

    @classmethod
    def read(cls, path: Path | None, reference: Mask) -> CaseCt:
        """Return the CT of a case along the axes of its reference mask.

        Args:
            path: The CT; None without one.
            reference: The reference mask.
        """
        if path is None:
            return cls(None, NO_CT)
        try:
            values_zyx = read_ct_like(path, reference)
            if values_zyx is None:
                return cls(None, OTHER_GRID)
            ct = MeasuredCt.of(values_zyx, reference.geometry)
            errors = errors_of(IMAGE_CHECKS.run(ct.facts, path.name))
        except Exception:  # noqa: BLE001 - without its CT, the shape of a case is still compared
            return cls(None, UNREADABLE)
        return cls(None, errors[0].code) if errors else cls(ct)

    def mean_hu(self, voxels_zyx: NDArray[np.bool_], geometry: Geometry, name: str) -> float | str:
        """Return the mean CT value of a femur in HU, or the code of the reason for which it is unknown.

        Args:
            voxels_zyx: The femur.
            geometry: Geometry of its voxels.
            name: Name of the mask.
        """
        if self.ct is None:
            return self.reason
        if self.ct.hu_zyx.shape != voxels_zyx.shape:
            return OTHER_GRID
        if not voxels_zyx.any():
            return EMPTY
        unmeasured = find_unmeasured(self.ct, voxels_zyx, geometry, name)
        inside = voxels_zyx[unmeasured.box]
        hu = self.ct.hu_zyx[unmeasured.box][inside]
        values, missing = density_values(
            hu,
            np.zeros(len(hu), bool),
            {"metal": unmeasured.metal_zyx[inside], "padding": unmeasured.blank_zyx[inside]},
            BoneParts(np.zeros(len(hu), np.uint8), dict.fromkeys(PARTS, _NO_PARTS)),
            voxel_ml=geometry.voxel_volume_ml,
            calibration=None,
        )
        return values[MEAN_HU.key] if MEAN_HU.key in values else missing[MEAN_HU.key].code


_NO_PARTS = Missing("not-measured", "Parts are not measured here.")
