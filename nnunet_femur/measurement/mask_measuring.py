"""Measure all femurs of one mask: separate them, measure each, complete and compare their sides, write their files."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.errors import FemurError
from nnunet_femur.imaging.sides import LEFT, RIGHT, UNKNOWN, side_in_name
from nnunet_femur.imaging.surface_mesh import Surface
from nnunet_femur.measurement.density.ct_measuring import measure_ct
from nnunet_femur.measurement.density.ct_on_mask import image_on, read_ct_on
from nnunet_femur.measurement.density.ct_quantities import CT_QUANTITIES
from nnunet_femur.measurement.femur_measurements import Missing
from nnunet_femur.measurement.mask_femurs import SIDE_LABELS, image_femurs, read_femurs
from nnunet_femur.measurement.measurements import file_names
from nnunet_femur.measurement.measuring import measure_mask
from nnunet_femur.measurement.output.femur_files import write_femur_files
from nnunet_femur.measurement.separation import separate_bones
from nnunet_femur.measurement.side_checks import check_sides
from nnunet_femur.measurement.surfaces.surface_files import SurfaceOptions, WrittenSurface, write_surfaces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nnunet_femur.measurement.batch_inputs import MaskToMeasure
    from nnunet_femur.measurement.density.calibration import Calibration
    from nnunet_femur.measurement.density.ct_on_mask import CtOfMask
    from nnunet_femur.measurement.femur_measurements import FemurMeasurements
    from nnunet_femur.measurement.mask_femurs import MaskFemurs

_OTHER_SIDE = {LEFT: RIGHT, RIGHT: LEFT}
_ORDER = {LEFT: 0, RIGHT: 1, UNKNOWN: 2}


@dataclass(frozen=True)
class Options:
    """Options of measuring that are the same for all masks.

    Attributes:
        side: Side of a mask with one femur: "left", "right", or "unknown".
        segments: Names of the segments that are femur; empty: the only one, or those named femur.
        labels: Values of a mask that are femur; empty: 1 (left) and 2 (right), or the only value above 0.
        with_ct: True if CTs were given; what cannot be measured without a CT is then missing with a reason.
        calibration: Calibration of the CTs; None without one.
        folder: Folder for the files of each femur; None to write none.
        surfaces: Surfaces for models to write into the folder.
    """

    side: str = UNKNOWN
    segments: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()
    with_ct: bool = False
    calibration: Calibration | None = None
    folder: Path | None = None
    surfaces: SurfaceOptions = field(default_factory=SurfaceOptions)


@dataclass(frozen=True)
class MaskResult:
    """Entries of one mask.

    Attributes:
        femurs: An entry for each femur, the left one first.
        error: Reason why the mask or its CT could not be read; empty if both could.
        surfaces: Surfaces for models of the femurs, if they were asked for.
    """

    femurs: tuple[FemurMeasurements, ...]
    error: str = ""
    surfaces: tuple[WrittenSurface, ...] = ()


def measure_femurs(given: MaskToMeasure, options: Options) -> MaskResult:
    """Measure all femurs of one mask.

    Args:
        given: The mask, and its CT if there is one. A CT that cannot be used is the error of the result; everything
            else is measured then.
        options: The options.

    Raises:
        InputError: The mask cannot be read, or it is unknown which of its labels or segments are femur.
        SetupError: A file cannot be written (code "cannot-write").
    """
    if isinstance(given.mask, Path):
        mask = read_femurs(given.mask, segments=options.segments, labels=options.labels)
    else:
        mask = image_femurs(given.mask, given.case, labels=options.labels)
    ct = _ct_of(given, mask) if options.with_ct else None
    measured, bones = [], _separated(mask, options.side)
    for side, voxels_zyx in bones:
        femur = measure_mask(voxels_zyx, mask.geometry, case=given.case, side=side)
        measured.append(femur if ct is None else _with_ct(femur, ct, voxels_zyx, options.calibration))
    femurs = _with_sides(measured, given.case)
    expected = side_in_name(given.case)
    findings = (*mask.findings, *check_sides(femurs, given.name, expected=expected))
    femurs = [replace(femur, findings=(*femur.findings, *findings)) for femur in femurs]
    order = sorted(range(len(femurs)), key=lambda number: _ORDER[femurs[number].side])
    femurs = [femurs[number] for number in order]
    surfaces: list[WrittenSurface] = []
    if options.folder is not None:
        for femur, name, number in zip(femurs, file_names(femurs), order, strict=True):
            if options.surfaces.endings:
                found = write_surfaces(
                    bones[number][1],
                    mask.geometry,
                    options.folder,
                    name,
                    case=femur.case,
                    side=femur.side,
                    options=options.surfaces,
                )
                surfaces.append(found)
            write_femur_files(femur, options.folder, name)
        femurs = [_without_surface(femur) for femur in femurs]
    return MaskResult(tuple(femurs), ct.text if isinstance(ct, Missing) else "", tuple(surfaces))


def _ct_of(given: MaskToMeasure, mask: MaskFemurs) -> CtOfMask | Missing:
    """Return the CT of a mask, or the reason why it is missing."""
    if given.ct is None:
        return Missing("no-ct", given.problem)
    try:
        if isinstance(given.ct, Path):
            return read_ct_on(given.ct, mask.geometry, given.name)
        return image_on(given.ct, mask.geometry, f"CT of {given.case}", given.name)
    except FemurError as error:
        return Missing(error.code, str(error))


def _with_ct(
    femur: FemurMeasurements,
    ct: CtOfMask | Missing,
    voxels_zyx: NDArray[np.bool_],
    calibration: Calibration | None,
) -> FemurMeasurements:
    """Return a femur with HU, density and cortex, or the reason why they are missing."""
    if isinstance(ct, Missing):
        return replace(femur, missing={**femur.missing, **dict.fromkeys(CT_QUANTITIES, ct)})
    mask_zyx = ct.placed(voxels_zyx)
    values, missing, findings = measure_ct(ct.hu_zyx, mask_zyx, ct.geometry, femur, calibration=calibration)
    return replace(
        femur,
        values={**femur.values, **values},
        missing={**femur.missing, **missing},
        findings=(*femur.findings, *findings),
    )


def _separated(mask: MaskFemurs, side: str) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return the stated side and the voxels of each femur; an empty mask is one femur without voxels."""
    if mask.has_sides:
        labels = [label for label in SIDE_LABELS if (mask.labels_zyx == label).any()]
        return [(SIDE_LABELS[label], mask.labels_zyx == label) for label in labels]
    voxels_zyx = mask.labels_zyx > 0
    bones = separate_bones(voxels_zyx, mask.geometry)
    return [(UNKNOWN, bone) for bone in bones] if len(bones) > 1 else [(side, voxels_zyx)]


def _with_sides(femurs: Sequence[FemurMeasurements], case: str) -> list[FemurMeasurements]:
    """Return femurs with sides that their shapes leave open: by the other femur of the mask, or by the name."""
    if len(femurs) == 2 and sum(femur.side == UNKNOWN for femur in femurs) == 1:
        known = next(femur.side for femur in femurs if femur.side != UNKNOWN)
        return [
            replace(femur, side=_OTHER_SIDE[known], side_source="other-bone") if femur.side == UNKNOWN else femur
            for femur in femurs
        ]
    by_name = side_in_name(case)
    if len(femurs) == 1 and femurs[0].side == UNKNOWN and by_name in (LEFT, RIGHT):
        return [replace(femurs[0], side=by_name, side_source="id")]
    return list(femurs)


def _without_surface(femur: FemurMeasurements) -> FemurMeasurements:
    """Return a femur whose landmarks lack the surface, which takes megabytes."""
    if femur.anatomy is None:
        return femur
    empty = Surface(np.empty((0, 3)), np.empty((0, 3), np.int64))
    return replace(femur, anatomy=replace(femur.anatomy, surface=empty))
