"""Read NIfTI by the rules of nibabel, which TotalSegmentator also follows.

ITK takes the spacing from ``pixdim`` and the axes from the sform, refuses slightly sheared axes, and decides by the
name of a file whether it is compressed. Here, spacing and axes come from the affine that the header declares valid:
the sform, else the qform. Without either, the orientation is unknown, which is a finding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.imaging.geometry import Geometry, image_of, numbers_text
from nnunet_femur.imaging.headers import (
    Header,
    checked_geometry,
    refuse,
    refuse_dimensions,
    refuse_spacing,
    require_room,
)
from nnunet_femur.imaging.unpacking import content, first_bytes
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from pathlib import Path

    import SimpleITK as sitk
    from nibabel.nifti1 import Nifti1Header
    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding

_SIZES = {1: 348, 2: 540}
"""Bytes of the header in each version."""

_MAGIC = {1: (344, (b"n+1\0",)), 2: (4, (b"n+2\0",))}
_SPATIAL_UNITS_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
"""Millimetres of each code of a unit of length; 0 is a header without a unit, which all programs take for mm."""

_EQUAL_SPACING = 1e-3
"""Largest relative difference of two spacings that is a rounding error."""

_SMALLEST_COSINE = 1e-12

_EQUAL_POSITION_VOXELS = 0.1
"""Largest displacement of a corner voxel between sform and qform that is a rounding error of single precision."""


def nifti_version(head: bytes) -> int | None:
    """Return the version of a single-file NIfTI (1 or 2) by its first bytes; None for other files."""
    for version, (at, magics) in _MAGIC.items():
        if any(head[at : at + len(magic)] == magic for magic in magics):
            return version
    return None


def is_analyze(head: bytes) -> bool:
    """Return True for the first bytes of Analyze 7.5, or of a NIfTI header with its voxels in another file."""
    return len(head) >= 348 and 348 in (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big"))


@dataclass(frozen=True)
class _Nifti:
    """A parsed header, with type, position and scaling of the voxels.

    Attributes:
        header: The header.
        dtype: Type of the stored voxels.
        offset: Position of the first voxel in the file after decompression, in bytes.
        slope: Factor of the stored values.
        intercept: Value that is added after that.
    """

    header: Header
    dtype: np.dtype
    offset: int
    slope: float
    intercept: float


def read_nifti_header(path: Path) -> Header:
    """Return the header of a NIfTI file.

    Raises:
        VolumeError: The file is not a volume of grey values, does not contain its spacing, or its geometry is invalid.
        RuntimeError: The file is damaged.
    """
    return _parsed(path).header


def read_nifti(path: Path) -> sitk.Image:
    """Return the voxels of a NIfTI file, with slope and intercept applied.

    Raises:
        VolumeError: As for :func:`read_nifti_header`.
        RuntimeError: The file is damaged or truncated.
    """
    from nibabel.volumeutils import apply_read_scaling

    found = _parsed(path)
    size = math.prod(found.header.geometry.size_xyz)
    stored = content(path, found.offset + size * found.dtype.itemsize)
    voxels: NDArray[Any] = np.frombuffer(stored, found.dtype, size, found.offset)
    voxels = voxels.reshape(found.header.geometry.shape_zyx)
    if not found.dtype.isnative:
        voxels = voxels.astype(found.dtype.newbyteorder("="))
    if found.header.rescaled:
        # An intercept alone keeps whole numbers. Single precision is enough for anything else.
        voxels = apply_read_scaling(voxels, found.slope, found.intercept)
        if voxels.dtype.kind == "f" and voxels.dtype != np.float32:
            voxels = voxels.astype(np.float32)
    return image_of(voxels, found.header.geometry)


def _parsed(path: Path) -> _Nifti:
    """Return the header of a NIfTI file, checked and corrected.

    Raises:
        VolumeError: As for :func:`read_nifti_header`.
        RuntimeError: The file is damaged.
    """
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header
    from nibabel.spatialimages import HeaderDataError

    head = first_bytes(path, max(_SIZES.values()))
    version = nifti_version(head) or 1
    if len(head) < _SIZES[version]:
        msg = "the file ends within its header"
        raise RuntimeError(msg)
    raw = (Nifti1Header if version == 1 else Nifti2Header)(head[: _SIZES[version]], check=False)
    negative = _with_usual_pixdim(raw)
    try:
        dtype = raw.get_data_dtype()
        slope, intercept = raw.get_slope_inter()
    except (HeaderDataError, KeyError) as error:
        msg = "the header is invalid"
        raise RuntimeError(msg) from error
    size_xyz = _size(path, raw, dtype)
    geometry, alternatives, findings = _geometry(path, raw, size_xyz)
    if negative:
        problem = "contains negative spacings in pixdim; their absolute values were used."
        findings = (*findings, finding("transforms-differ", path, problem))
    slope, intercept = slope or 1.0, intercept or 0.0
    offset = float(raw["vox_offset"])
    if not _SIZES[version] <= offset < 1 << 40:
        # Old programs left it at 0 if the voxels follow the header.
        offset = _SIZES[version] + 4
    needed = math.prod(size_xyz) * dtype.itemsize
    require_room(path, needed, path.stat().st_size)
    header = Header(geometry, 1, (slope, intercept) != (1.0, 0.0), {}, findings, alternatives)
    return _Nifti(header, dtype, int(offset), slope, intercept)


def _with_usual_pixdim(raw: Nifti1Header) -> bool:
    """Correct unusual values as the standard and nibabel do: a qfac of 0 is 1, and a negative spacing is positive.

    Returns:
        True if there was a negative spacing.
    """
    if raw["pixdim"][0] not in (-1, 1):
        raw["pixdim"][0] = 1
    negative = bool((raw["pixdim"][1:4] < 0).any())
    raw["pixdim"][1:4] = np.abs(raw["pixdim"][1:4])
    return negative


def _size(path: Path, raw: Nifti1Header, dtype: np.dtype) -> tuple[int, int, int]:
    """Return the size of a volume with one grey value per voxel."""
    count = int(raw["dim"][0])
    if not 1 <= count <= 7:
        msg = "the header is invalid"
        raise RuntimeError(msg)
    dims = [int(n) for n in raw["dim"][1 : 1 + count]]
    while len(dims) > 3 and dims[-1] == 1:
        dims.pop()
    if len(dims) == 5 and dims[3] == 1:
        refuse_dimensions(path, 3, dims[4])
    if len(dims) != 3:
        refuse_dimensions(path, len(dims), 1)
    if dtype.names:
        refuse_dimensions(path, 3, len(dtype.names))
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        refuse(path, "colour", f"has voxels of type {dtype.name}; expected integers or decimal numbers.")
    x, y, z = dims
    return x, y, z


def _geometry(
    path: Path, raw: Nifti1Header, size_xyz: tuple[int, int, int]
) -> tuple[Geometry, tuple[Geometry, ...], tuple[Finding, ...]]:
    """Return the geometry that the header declares, the other geometries that it allows, and the findings."""
    millimetres = _SPATIAL_UNITS_MM.get(int(raw["xyzt_units"]) & 7, 1.0)
    pixdim_mm = np.abs(np.asarray(raw["pixdim"][1:4], np.float64)) * millimetres
    sform = _affine(raw, "sform", millimetres)
    qform = _affine(raw, "qform", millimetres)
    affine = sform if sform is not None else qform
    if affine is None:
        return _unoriented(path, size_xyz, pixdim_mm)
    geometry, sheared = checked_geometry(path, _of_affine(affine, size_xyz))
    findings = [*sheared]
    spacing = numbers_text(geometry.spacing_mm_xyz)
    if sform is not None and _positive(pixdim_mm):
        other = np.abs(pixdim_mm / geometry.spacing_mm_xyz - 1).max()
        if other > _EQUAL_SPACING:
            other_spacing = numbers_text(pixdim_mm.tolist())
            problem = f"contains two spacings: {spacing} mm in its sform, {other_spacing} mm in pixdim"
            findings.append(finding("transforms-differ", path, f"{problem}. The sform was used."))
    if sform is not None and qform is not None:
        apart = geometry.displacement_voxels(_of_affine(qform, size_xyz))
        if apart > _EQUAL_POSITION_VOXELS and not sheared:
            problem = f"contains two positions: its sform and its qform are up to {apart:.3g} voxels apart"
            findings.append(finding("transforms-differ", path, f"{problem}. The sform was used."))
    return geometry, (), tuple(findings)


def _unoriented(
    path: Path, size_xyz: tuple[int, int, int], pixdim_mm: NDArray[np.float64]
) -> tuple[Geometry, tuple[Geometry, ...], tuple[Finding, ...]]:
    """Return the geometry of a header without a valid sform or qform as in nibabel, and the geometry as in ITK."""
    if not _positive(pixdim_mm):
        refuse_spacing(path)
    spacing = tuple(pixdim_mm.tolist())
    as_nibabel = np.diag([-pixdim_mm[0], pixdim_mm[1], pixdim_mm[2], 1.0])
    as_nibabel[:3, 3] = -as_nibabel[:3, :3] @ ((np.array(size_xyz) - 1) / 2)
    geometry, _ = checked_geometry(path, _of_affine(as_nibabel, size_xyz))
    as_itk = Geometry(size_xyz, spacing, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    problem = "has neither a valid sform nor a valid qform, so its orientation is unknown; LAS was assumed."
    return geometry, (as_itk,), (finding("orientation-unknown", path, problem),)


def _positive(lengths_mm: NDArray[np.float64]) -> bool:
    return bool(np.isfinite(lengths_mm).all() and (lengths_mm > 0).all())


def _affine(raw: Nifti1Header, name: str, millimetres: float) -> NDArray[np.float64] | None:
    """Return the sform or the qform in mm if the header declares it valid, else None."""
    from nibabel.spatialimages import HeaderDataError

    if not int(raw[f"{name}_code"]) > 0:
        return None
    if name == "qform" and not _positive(np.abs(np.asarray(raw["pixdim"][1:4], np.float64))):
        return None
    try:
        affine = np.asarray(raw.get_sform() if name == "sform" else raw.get_qform(), np.float64)
    except (HeaderDataError, ValueError):
        return None
    affine[:3] *= millimetres
    axes = affine[:3, :3]
    return affine if np.isfinite(affine).all() and np.linalg.norm(axes, axis=0).all() else None


def _of_affine(affine: NDArray[np.float64], size_xyz: tuple[int, int, int]) -> Geometry:
    """Return the geometry, in LPS, of an affine that leads to RAS mm."""
    lps = np.diag([-1.0, -1.0, 1.0]) @ affine[:3]
    spacing = np.linalg.norm(lps[:, :3], axis=0)
    direction = lps[:, :3] / spacing
    # ITK would print a matrix with rounding errors near 0 as a warning.
    direction[np.abs(direction) < _SMALLEST_COSINE] = 0.0
    return Geometry(
        size_xyz,
        tuple(spacing.tolist()),
        tuple((lps[:, 3] + 0.0).tolist()),
        tuple((direction + 0.0).ravel().tolist()),
    )
