"""Read a CT or a mask from a file or a DICOM folder: the reader of all commands.

Errors are raised as :class:`VolumeError`. Everything that is assumed, corrected or left out is returned as findings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.atomic_files import is_utf8
from nnunet_femur.imaging.dicom import find_dicom
from nnunet_femur.imaging.dicom_files import is_dicom_file
from nnunet_femur.imaging.dicom_segmentation import read_segmentation
from nnunet_femur.imaging.dicom_series import Series
from nnunet_femur.imaging.dicom_voxels import read_series
from nnunet_femur.imaging.files import read_header, read_with_header
from nnunet_femur.imaging.geometry import VolumeError
from nnunet_femur.imaging.rtstruct_reading import StructureSet, read_structures
from nnunet_femur.imaging.segments import parse_segments
from nnunet_femur.kinds import KINDS

if TYPE_CHECKING:
    import SimpleITK as sitk

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.dicom_segmentation import Segmentation
    from nnunet_femur.imaging.geometry import Geometry
    from nnunet_femur.imaging.headers import Header
    from nnunet_femur.imaging.segments import Segment


@dataclass(frozen=True)
class SourceHeader:
    """Header of a CT or a mask.

    Attributes:
        geometry: Grid of the voxels in the patient's space.
        components: Values per voxel; more than one only for the layers of a segmentation.
        rescaled: True if a slope or an intercept is applied when the voxels are read.
        distances_mm: Distances between neighbouring slices of a DICOM series, in mm; empty for other formats, whose
            slices are evenly spaced.
        segments: Segments of a segmentation (3D Slicer or DICOM SEG).
        findings: Assumptions, corrections and omissions; their file is the path as given.
        alternatives: Other geometries that the header allows, if it does not define the orientation.

    Example:
        >>> header = read_ct_header("ct.nrrd")
        >>> header.components, header.rescaled, header.findings
        (1, False, ())
    """

    geometry: Geometry
    components: int
    rescaled: bool
    distances_mm: tuple[float, ...] = ()
    segments: tuple[Segment, ...] = ()
    findings: tuple[Finding, ...] = ()
    alternatives: tuple[Geometry, ...] = ()


@dataclass(frozen=True)
class Volume:
    """A CT or a mask with its voxels.

    Attributes:
        header: The header.
        image: The voxels; a segmentation may have several components, one for each layer.

    Example:
        >>> volume = read_ct("ct.nrrd")
        >>> volume.image.GetSize() == volume.header.geometry.size_xyz
        True
    """

    header: SourceHeader
    image: sitk.Image


def read_ct_header(path: Path | str, *, any_values: bool = False) -> SourceHeader:
    """Return the header of a CT without reading its voxels.

    Args:
        path: A file (NRRD, NIfTI, MetaImage, enhanced DICOM), or a folder with the slices of one DICOM series in it or
            below it.
        any_values: Accept other modalities than CT, with a warning.

    Raises:
        VolumeError: The CT is missing, unreadable, not a single volume of grey values, or its geometry is invalid.

    Example:
        >>> header = read_ct_header("ct.nrrd")
        >>> header.geometry.shape_zyx, header.geometry.spacing_mm_zyx
        ((48, 32, 32), (10.0, 6.0, 6.0))
    """
    return _header(Path(path), mask=False, any_values=any_values)


def read_ct(path: Path | str, *, any_values: bool = False) -> Volume:
    """Return a CT, in HU if its header contains a slope and an intercept.

    Args:
        path: As in :func:`read_ct_header`.
        any_values: As in :func:`read_ct_header`.

    Raises:
        VolumeError: As for :func:`read_ct_header`, or the voxels are damaged.

    Example:
        >>> ct = read_ct("ct.nrrd")
        >>> ct.image.GetSize(), ct.image.GetPixelIDTypeAsString()
        ((32, 32, 48), '16-bit signed integer')
        >>> [finding.code for finding in ct.header.findings]
        []
    """
    return _volume(Path(path), mask=False, any_values=any_values)


def read_mask_header(path: Path | str, *, ct: Path | None = None) -> SourceHeader:
    """Return the header of a mask or a segmentation without reading its voxels.

    Args:
        path: A file (a mask, 3D Slicer's ``.seg.nrrd``, a DICOM SEG, an RTSTRUCT), or a folder with one DICOM SEG or
            RTSTRUCT or with the slices of one DICOM series in it or below it.
        ct: The CT, on whose slices an RTSTRUCT was drawn. Default: the slices in the same folder. An RTSTRUCT of this
            package contains the grid and needs neither.

    Raises:
        VolumeError: As for :func:`read_ct_header`, or the mask has layers without names of segments.

    Example:
        >>> read_mask_header("reference.nrrd").geometry == read_ct_header("ct.nrrd").geometry
        True
    """
    return _header(Path(path), mask=True, ct=ct)


def read_mask(path: Path | str, *, ct: Path | None = None) -> Volume:
    """Return a mask or a segmentation with all its labels or segments.

    See :func:`nnunet_femur.imaging.femur_mask.read_femur` for the femur of a mask as an array.

    Args:
        path: As in :func:`read_mask_header`.
        ct: As in :func:`read_mask_header`.

    Raises:
        VolumeError: As for :func:`read_mask_header`, or the voxels are damaged.

    Example:
        >>> mask = read_mask("reference.nrrd")
        >>> mask.image.GetSize(), mask.header.segments
        ((32, 32, 48), ())
    """
    return _volume(Path(path), mask=True, ct=ct)


def _volume(path: Path, *, mask: bool, any_values: bool = False, ct: Path | None = None) -> Volume:
    _require_name(path)
    if not _is_dicom(path):
        header, image = read_with_header(path)
        return Volume(_of_file(path, header, mask=mask), image)
    found = find_dicom(path, mask=mask, any_values=any_values, ct=ct)
    header_found = _of_dicom(found)
    if isinstance(found, Series):
        return Volume(header_found, read_series(path, found))
    if isinstance(found, StructureSet):
        segments, image = read_structures(path, found)
    else:
        segments, image = read_segmentation(path, found)
    components = image.GetNumberOfComponentsPerPixel()
    return Volume(replace(header_found, components=components, segments=segments), image)


def _header(path: Path, *, mask: bool, any_values: bool = False, ct: Path | None = None) -> SourceHeader:
    _require_name(path)
    if _is_dicom(path):
        return _of_dicom(find_dicom(path, mask=mask, any_values=any_values, ct=ct))
    return _of_file(path, read_header(path), mask=mask)


def _require_name(path: Path) -> None:
    """Refuse a name that is not UTF-8: SimpleITK ends the whole process at one."""
    if not is_utf8(str(path)):
        raise VolumeError(path, "has a name that is not UTF-8.", "Rename it.")


def _of_file(path: Path, header: Header, *, mask: bool) -> SourceHeader:
    """Return the header of a file with its segments; refuse several values per voxel without names of segments."""
    if header.components != 1 and not mask:
        problem = f"has {header.components} values per voxel, as a colour picture; expected 1."
        raise VolumeError(path, problem, KINDS["colour"].remedy, code="colour")
    segments = parse_segments(header.fields, header.components) if mask else ()
    if header.components != 1 and not segments:
        problem = f"has {header.components} layers, but its header contains no names of segments."
        raise VolumeError(path, problem, KINDS["mask-layers"].remedy, code="mask-layers")
    return SourceHeader(
        header.geometry,
        header.components,
        header.rescaled,
        segments=segments,
        findings=header.findings,
        alternatives=header.alternatives,
    )


def _is_dicom(path: Path) -> bool:
    return path.is_dir() or is_dicom_file(path)


def _of_dicom(found: Series | Segmentation | StructureSet) -> SourceHeader:
    if isinstance(found, Series):
        return SourceHeader(found.geometry, 1, found.rescaled, found.distances_mm, findings=found.findings)
    layers = 1 + max(segment.layer for segment in found.segments)
    return SourceHeader(found.geometry, layers, rescaled=False, segments=found.segments, findings=found.findings)
