"""Masks to score: a file, an image or an array, brought into anatomical order and onto one grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Union

import numpy as np

from nnunet_femur.arguments import require_type
from nnunet_femur.errors import InputError
from nnunet_femur.findings import errors_of
from nnunet_femur.imaging.femur_mask import read_femur
from nnunet_femur.imaging.geometry import RAS, AxisOrder, Geometry, VolumeError
from nnunet_femur.imaging.grids import Placement, Relation, settled
from nnunet_femur.imaging.labels import femur_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import SimpleITK as sitk
    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding

MaskInput = Union["str | PathLike[str]", "sitk.Image", "NDArray"]
"""Forms of a mask: the path of a file or of a DICOM SEG, an image, or an array with axes z, y, x."""


@dataclass(frozen=True)
class Mask:
    """A femur mask whose array axes are the anatomical ones.

    Attributes:
        name: The file that it was read from, or the name of the argument.
        voxels: True where the femur is. The axes z, y, x lead to superior, anterior and right, so slices of the first,
            second and third axis are axial, coronal and sagittal.
        geometry: The grid after the reorientation.
        findings: Assumptions about the file.
        may_be_cropped: True for a segmentation, which programs store in the smallest box that contains it.

    Example:
        >>> mask = read_mask("reference.nrrd")
        >>> mask.name, int(mask.voxels.sum())
        ('reference.nrrd', 1163)
    """

    name: str
    voxels: NDArray[np.bool_]
    geometry: Geometry
    findings: tuple[Finding, ...] = ()
    may_be_cropped: bool = False


def read_mask(
    path: str | PathLike[str],
    *,
    like: Geometry | None = None,
    segments: Sequence[str] = (),
    labels: Sequence[int] = (),
) -> Mask:
    """Return the femur of a mask or segmentation file in anatomical order.

    Args:
        path: The file; 3D Slicer's segmentations and DICOM SEG are masks, too.
        like: Geometry of the reference. The mask's axes follow it, so an oblique mask has the reference's axes even
            where two anatomical directions are equally near. If the file leaves the orientation open, the orientation
            with this geometry is assumed. Default: the anatomical axes.
        segments: Names of the segments that are femur; empty: the only one, or those named femur.
        labels: Values that are femur; empty: 1, or the only value above 0.

    Raises:
        InputError: The file does not exist (code "not-found") or cannot be read, or it is unknown which of its values
            are femur (code "mask-labels").

    Example:
        >>> mask = read_mask("reference.nrrd")
        >>> mask.voxels.shape, mask.geometry.spacing_mm_zyx
        ((48, 32, 32), (10.0, 6.0, 6.0))
    """
    if not Path(path).exists():
        raise VolumeError(Path(path), "not found.", "Check the path.", code="not-found")
    femur = read_femur(Path(path), segments=segments, labels=labels)
    candidates = (femur.header.geometry, *femur.header.alternatives)
    stored = candidates[0] if like is None else settled((like,), (candidates,))[1][0]
    mask = Mask(str(path), femur.voxels_zyx, stored, femur.findings, may_be_cropped=bool(femur.header.segments))
    return _reoriented(mask, like)


def any_mask(
    given: MaskInput,
    *,
    name: str,
    like: Geometry | None = None,
    spacing_mm_zyx: Sequence[float] | None = None,
    segments: Sequence[str] = (),
    labels: Sequence[int] = (),
) -> Mask:
    """Return the femur of a mask in any form in anatomical order.

    Args:
        given: The mask.
        name: Name of an image or array in messages.
        like: As in :func:`read_mask`.
        spacing_mm_zyx: Voxel spacing of an array in mm along z, y, x.
        segments: As in :func:`read_mask`, for files only.
        labels: As in :func:`read_mask`.

    Raises:
        InputError: As :func:`nnunet_femur.evaluation.score`.
    """
    import SimpleITK as sitk

    if isinstance(given, np.ndarray):
        geometry = _geometry_of_array(given, spacing_mm_zyx, name)
        values_zyx = given
    elif spacing_mm_zyx is not None:
        msg = f"{name}: spacing_mm_zyx is for arrays only, but a path or an image has its own spacing. Omit it."
        raise InputError(msg, code="invalid-option")
    elif isinstance(given, str | PathLike):
        return read_mask(given, like=like, segments=segments, labels=labels)
    else:
        require_type(name, given, sitk.Image, "a path, a SimpleITK image or a numpy array")
        if given.GetDimension() != 3 or given.GetNumberOfComponentsPerPixel() != 1:
            size = " x ".join(map(str, given.GetSize()))
            msg = f"{name} must be a 3D image with one value per voxel, got {size} of {given.GetPixelIDTypeAsString()}."
            raise InputError(msg, code="unsupported")
        geometry = Geometry.of(given)
        values_zyx = sitk.GetArrayFromImage(given)
    if segments:
        msg = f"{name}: segments can be chosen in files only. Pass the path of the segmentation, or labels."
        raise InputError(msg, code="invalid-option")
    voxels, findings = _femur_of_values(values_zyx, labels, name)
    return _reoriented(Mask(name, voxels, geometry, findings), like)


def _geometry_of_array(array_zyx: NDArray, spacing_mm_zyx: Sequence[float] | None, name: str) -> Geometry:
    if spacing_mm_zyx is None:
        msg = f"{name} is an array, which has no spacing. Pass spacing_mm_zyx, in mm along z, y, x."
        raise InputError(msg, code="invalid-option")
    try:
        spacing = tuple(float(mm) for mm in spacing_mm_zyx)
    except (TypeError, ValueError):
        msg = f"spacing_mm_zyx must be three numbers above 0, got {spacing_mm_zyx!r}."
        raise InputError(msg, code="invalid-option") from None
    if len(spacing) != array_zyx.ndim:
        msg = f"{name} has {array_zyx.ndim} axes, but spacing_mm_zyx has {len(spacing)} values: {spacing}."
        raise InputError(msg, code="grid-differs")
    if array_zyx.ndim != 3 or not array_zyx.size:
        msg = f"{name} must be an array with three axes and at least one voxel, got the shape {array_zyx.shape}."
        raise InputError(msg, code="unsupported")
    if not all(np.isfinite(mm) and mm > 0 for mm in spacing):
        msg = f"spacing_mm_zyx must be three numbers above 0, got {spacing}."
        raise InputError(msg, code="invalid-option")
    return Geometry(array_zyx.shape[::-1], spacing[::-1], RAS.origin_mm_xyz, RAS.direction)


def _femur_of_values(
    values_zyx: NDArray, labels: Sequence[int], name: str
) -> tuple[NDArray[np.bool_], tuple[Finding, ...]]:
    if values_zyx.dtype == bool and not labels:
        return values_zyx, ()
    if values_zyx.dtype.kind not in "biuf":
        msg = f"{name} must contain numbers, got values of the type {values_zyx.dtype}."
        raise InputError(msg, code="unsupported")
    if not np.isfinite(values_zyx).all():
        raise VolumeError(Path(name), "contains NaN or infinite values.", "Pass a mask of 0 and 1.", code="not-finite")
    values_zyx = values_zyx.astype(np.uint8) if values_zyx.dtype == bool else values_zyx
    voxels, findings = femur_of(values_zyx, labels, Path(name))
    for error in errors_of(findings):
        raise VolumeError(Path(name), error.problem, error.remedy, code=error.code)
    return voxels, tuple(findings)


def _reoriented(mask: Mask, like: Geometry | None) -> Mask:
    order = AxisOrder.between(mask.geometry, like or RAS)
    return replace(mask, voxels=order.of_array(mask.voxels), geometry=order.of_geometry(mask.geometry))


def require_same_form(prediction: MaskInput, reference: MaskInput) -> None:
    """Check that both masks are arrays of one shape, or neither is an array.

    Raises:
        InputError: Only one is an array (code "invalid-option"), or the shapes differ (code "grid-differs").
    """
    arrays = [isinstance(given, np.ndarray) for given in (prediction, reference)]
    if arrays[0] != arrays[1]:
        array, other = ("prediction", "reference") if arrays[0] else ("reference", "prediction")
        msg = (
            f"{array} is an array, which has no position in the patient, but {other} is a file or an image. Pass two "
            "arrays, or make an image of the array with SimpleITK.GetImageFromArray and CopyInformation."
        )
        raise InputError(msg, code="invalid-option")
    if isinstance(prediction, np.ndarray) and isinstance(reference, np.ndarray) and prediction.shape != reference.shape:
        msg = f"prediction and reference must have one shape, got {prediction.shape} and {reference.shape}."
        raise InputError(msg, code="grid-differs")


def on_one_grid(reference: Mask, prediction: Mask) -> tuple[Mask, Mask]:
    """Return two masks on the smallest grid that contains both, if one is a segmentation with its own, smaller grid.

    The masks are returned unchanged if they are on different lattices of points, or if a mask that is not a
    segmentation does not cover that grid.

    Args:
        reference: The reference mask.
        prediction: A mask along the same axes.
    """
    if not reference.geometry.differences(prediction.geometry):
        return reference, prediction
    way = Placement.of(prediction.geometry, reference.geometry, trust="headers")
    if way.relation is not Relation.SHIFTED:
        return reference, prediction
    starts = np.array([(0, 0, 0), way.offset_zyx])
    ends = starts + np.array([reference.voxels.shape, prediction.voxels.shape])
    first = starts.min(axis=0)
    shape = ends.max(axis=0) - first
    origin = reference.geometry.steps_mm @ first[::-1] + reference.geometry.origin_mm_xyz
    size_xyz = tuple(int(count) for count in shape[::-1])
    grid = replace(reference.geometry, size_xyz=size_xyz, origin_mm_xyz=tuple(origin.tolist()))
    if any(mask.voxels.shape != grid.shape_zyx and not mask.may_be_cropped for mask in (reference, prediction)):
        return reference, prediction
    return _padded(reference, starts[0] - first, grid), _padded(prediction, starts[1] - first, grid)


def _padded(mask: Mask, start_zyx: NDArray, grid: Geometry) -> Mask:
    if mask.voxels.shape == grid.shape_zyx:
        return mask
    voxels = np.zeros(grid.shape_zyx, bool)
    place = tuple(slice(int(a), int(a) + n) for a, n in zip(start_zyx, mask.voxels.shape, strict=True))
    voxels[place] = mask.voxels
    return replace(mask, voxels=voxels, geometry=grid)


def require_same_grid(reference: Mask, prediction: Mask) -> None:
    """Check that two masks are on one grid in the patient.

    Raises:
        InputError: They are not (code "grid-differs"); the message names both files and every difference.
    """
    if found := reference.geometry.differences(prediction.geometry):
        msg = (
            f"{prediction.name}: not on the grid of its reference {reference.name}: {'; '.join(found)} "
            "(reference against prediction). Resample the prediction to the CT's own grid."
        )
        raise InputError(msg, code="grid-differs")
