"""Measure one femur: from its mask or surface to angles, lengths and landmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.sides import UNKNOWN
from nnunet_femur.measurement.femur_measurements import FemurMeasurements, Missing
from nnunet_femur.measurement.quantities import QUANTITIES, SHAPE_QUANTITIES
from nnunet_femur.measurement.shape.border import border_contacts
from nnunet_femur.measurement.shape.completeness import examine
from nnunet_femur.measurement.shape.formulas import proximal_values, whole_values
from nnunet_femur.measurement.shape.mesh import BoneMesh
from nnunet_femur.measurement.shape.shaft import ShaftProfile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry
    from nnunet_femur.imaging.surface_mesh import Surface
    from nnunet_femur.measurement.landmarks import Anatomy, Point
    from nnunet_femur.measurement.shape.border import BorderContact

_NOT_FOUND = Missing("not-found", "A landmark or section that it needs was not found.")


def measure_mask(
    mask_zyx: NDArray, geometry: Geometry, *, case: str = "femur", side: str = UNKNOWN
) -> FemurMeasurements:
    """Measure the mask of one femur.

    Args:
        mask_zyx: The mask (z, y, x), not 0 in the femur.
        geometry: Geometry of its voxels, in any direction.
        case: Name of the mask.
        side: "left" or "right" if a label or an id determines it, else "unknown": then the shape of a whole bone does.

    Returns:
        The measurements. A quantity that the mask does not determine is missing, with the reason; nothing is raised.
    """
    volume_ml = float(np.count_nonzero(mask_zyx)) * geometry.voxel_volume_ml
    border = border_contacts(mask_zyx, geometry) if volume_ml > 0 else ()
    mesh = BoneMesh.of_mask(mask_zyx, geometry)
    return _measured(mesh, volume_ml, case=case, side=side, border=border, voxel_mm=max(geometry.spacing_mm_zyx))


def measure_surface(surface: Surface, *, case: str = "femur", side: str = UNKNOWN) -> FemurMeasurements:
    """Measure a closed surface of one femur, as :func:`measure_mask` measures a mask.

    Args:
        surface: The surface in LPS mm; its triangles face outwards.
        case: Name of the femur.
        side: As for :func:`measure_mask`.
    """
    return _measured(BoneMesh.of_surface(surface), surface.volume_ml, case=case, side=side)


def _measured(
    mesh: BoneMesh,
    volume_ml: float,
    *,
    case: str,
    side: str,
    border: Sequence[BorderContact] = (),
    voxel_mm: float = 0.0,
) -> FemurMeasurements:
    if not len(mesh.triangles):
        few = Missing("too-small", "The mask has too few voxels for a surface.")
        missing = few if volume_ml > 0 else Missing("empty-mask", "No voxel of the mask is femur.")
        return FemurMeasurements(case, side, "label" if side != UNKNOWN else "", {}, dict.fromkeys(QUANTITIES, missing))
    mesh = mesh.without_fragments()
    anatomy, state = examine(mesh, border=border, voxel_mm=voxel_mm)
    values: dict[str, float | Point] = {"volume_ml": volume_ml, "surface_area_cm2": float(mesh.areas_mm2.sum()) / 100}
    values |= proximal_values(anatomy)
    values |= _shaft_values(mesh, anatomy)
    values |= whole_values(mesh, anatomy)
    reasons = {each.key: state.reason(each.needs, each.key) for each in SHAPE_QUANTITIES}
    # A section at which the shaft has a gap is NaN.
    values = {key: value for key, value in values.items() if reasons[key] is None and np.isfinite(value).all()}
    source = "label" if side != UNKNOWN else ("shape" if anatomy.side != UNKNOWN else "")
    return FemurMeasurements(
        case,
        side if side != UNKNOWN else anatomy.side,
        source,
        {each.key: _plain(values[each.key]) for each in SHAPE_QUANTITIES if each.key in values},
        {key: reason or _NOT_FOUND for key, reason in reasons.items() if key not in values},
        anatomy=anatomy,
    )


def _shaft_values(mesh: BoneMesh, anatomy: Anatomy) -> dict[str, float | Point]:
    shaft, distal = anatomy.shaft, anatomy.distal
    if shaft is None or distal is None:
        return {}
    profile = ShaftProfile.of(mesh, shaft)
    diameter, level = profile.isthmus()
    return {
        "shaft_axis_lps": shaft.direction,
        "shaft_fit_rms_mm": shaft.rms_mm,
        "bow_anterior_mm": profile.bow_mm(-distal.posterior),
        "isthmus_diameter_mm": diameter,
        "isthmus_level_percent": 100 * level,
        "shaft_area_mid_mm2": profile.area_at(0.5),
    }


def _plain(value: float | Point) -> float | tuple[float, float, float]:
    """Return a number or three numbers of Python."""
    if isinstance(value, np.ndarray):
        x, y, z = (float(each) for each in value)
        return x, y, z
    return float(value)
