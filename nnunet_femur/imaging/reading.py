"""Read a CT or a mask: the one reader of all commands, for files and for folders with DICOM files.

Errors are raised as :class:`VolumeError`. What was assumed, corrected or left out on the way is returned as findings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nnunet_femur.atomic_files import is_utf8
from nnunet_femur.imaging.dicom import Series, find_dicom, is_dicom_file, read_segmentation, read_series
from nnunet_femur.imaging.files import read_header, read_with_header
from nnunet_femur.imaging.geometry import VolumeError
from nnunet_femur.imaging.labels import parse_segments
from nnunet_femur.kinds import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    import SimpleITK as sitk

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.dicom import Segmentation
    from nnunet_femur.imaging.geometry import Geometry
    from nnunet_femur.imaging.headers import Header
    from nnunet_femur.imaging.labels import Segment


@dataclass(frozen=True)
class SourceHeader:
    """Header of a CT or a mask.

    Attributes:
        geometry: Position of the voxels in the patient.
        components: Values per voxel; more than one only for the layers of a segmentation.
        rescaled: A slope or an intercept is applied when the voxels are read.
        distances_mm: Distances of the slices of a DICOM series in mm; empty for other formats, whose slices are even.
        segments: The segments of a segmentation (3D Slicer or DICOM SEG).
        findings: What was assumed, corrected or left out; their file is the path as given.
        alternatives: Other geometries that the header allows, where it does not define the orientation.
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
        header: Its header.
        image: Its voxels; a segmentation may have several components, one for each layer.
    """

    header: SourceHeader
    image: sitk.Image


def read_ct_header(path: Path, *, any_values: bool = False) -> SourceHeader:
    """Return the header of a CT.

    Args:
        path: A file, an enhanced DICOM file among them, or a folder with the slices of one DICOM series in it or below.
        any_values: Another modality than CT is read, too, with a warning.

    Raises:
        VolumeError: The CT is missing, unreadable, not a single volume of grey values, or its geometry is invalid.
    """
    return _header(path, mask=False, any_values=any_values)


def read_ct(path: Path, *, any_values: bool = False) -> Volume:
    """Return a CT, in HU where its header has a slope and an intercept.

    Args:
        path: As in :func:`read_ct_header`.
        any_values: As in :func:`read_ct_header`.

    Raises:
        VolumeError: As :func:`read_ct_header`, or its voxels are damaged.
    """
    return _volume(path, mask=False, any_values=any_values)


def read_mask_header(path: Path) -> SourceHeader:
    """Return the header of a mask or a segmentation.

    Args:
        path: A file (a mask, 3D Slicer's ``.seg.nrrd``, a DICOM SEG), or a folder with one DICOM SEG or with the slices
            of one DICOM series in it or below.

    Raises:
        VolumeError: As :func:`read_ct_header`, or it has layers without names of segments.
    """
    return _header(path, mask=True)


def read_mask(path: Path) -> Volume:
    """Return a mask or a segmentation with all its labels or segments.

    Args:
        path: As in :func:`read_mask_header`.

    Raises:
        VolumeError: As :func:`read_mask_header`, or its voxels are damaged.
    """
    return _volume(path, mask=True)


def _volume(path: Path, *, mask: bool, any_values: bool = False) -> Volume:
    _require_name(path)
    if not _is_dicom(path):
        header, image = read_with_header(path)
        return Volume(_of_file(path, header, mask=mask), image)
    found = find_dicom(path, mask=mask, any_values=any_values)
    header_found = _of_dicom(found)
    if isinstance(found, Series):
        return Volume(header_found, read_series(path, found))
    segments, image = read_segmentation(path, found)
    components = image.GetNumberOfComponentsPerPixel()
    return Volume(replace(header_found, components=components, segments=segments), image)


def _header(path: Path, *, mask: bool, any_values: bool = False) -> SourceHeader:
    _require_name(path)
    if _is_dicom(path):
        return _of_dicom(find_dicom(path, mask=mask, any_values=any_values))
    return _of_file(path, read_header(path), mask=mask)


def _require_name(path: Path) -> None:
    """Refuse a name that is not UTF-8: SimpleITK ends the whole process at one."""
    if not is_utf8(str(path)):
        raise VolumeError(path, "has a name that is not UTF-8.", "Rename it.")


def _of_file(path: Path, header: Header, *, mask: bool) -> SourceHeader:
    if header.components != 1 and not mask:
        problem = f"has {header.components} values per voxel, as a picture in colour has."
        raise VolumeError(path, problem, KINDS["colour"].remedy, code="colour")
    segments = parse_segments(header.fields, header.components) if mask else ()
    if header.components != 1 and not segments:
        problem = f"has {header.components} layers, and its header names no segments in them."
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


def _of_dicom(found: Series | Segmentation) -> SourceHeader:
    if isinstance(found, Series):
        return SourceHeader(found.geometry, 1, found.rescaled, found.distances_mm, findings=found.findings)
    layers = 1 + max(segment.layer for segment in found.segments)
    return SourceHeader(found.geometry, layers, rescaled=False, segments=found.segments, findings=found.findings)
