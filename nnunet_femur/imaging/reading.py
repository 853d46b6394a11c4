"""Read a CT or a mask: the one reader of all commands, for files and for folders of DICOM slices.

Errors are raised as :class:`VolumeError`. What was assumed, corrected or left out on the way is returned as findings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.imaging.dicom import find_series, read_series
from nnunet_femur.imaging.segments import parse_segments
from nnunet_femur.kinds import KINDS
from nnunet_femur.volumes import VolumeError, read_header, read_volume

if TYPE_CHECKING:
    from pathlib import Path

    import SimpleITK as sitk

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.segments import Segment
    from nnunet_femur.volumes import Geometry


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
    """

    geometry: Geometry
    components: int
    rescaled: bool
    distances_mm: tuple[float, ...] = ()
    segments: tuple[Segment, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Volume:
    """A CT or a mask with its voxels.

    Attributes:
        header: Its header.
        image: Its voxels; a segmentation may have several components, one for each layer.
    """

    header: SourceHeader
    image: sitk.Image


def read_ct_header(path: Path) -> SourceHeader:
    """Return the header of a CT.

    Args:
        path: A file, or a folder with the slices of one DICOM series.

    Raises:
        VolumeError: The CT is missing, unreadable, not a single volume of grey values, or its geometry is invalid.
    """
    return _header(path, mask=False)


def read_ct(path: Path, *, any_values: bool = False) -> Volume:  # noqa: ARG001  # files do not name their modality
    """Return a CT, in HU where its header has a slope and an intercept.

    Args:
        path: A file, or a folder with the slices of one DICOM series.
        any_values: Another modality than CT is read, too.

    Raises:
        VolumeError: As :func:`read_ct_header`, or its voxels are damaged.
    """
    return _volume(path, mask=False)


def read_mask_header(path: Path) -> SourceHeader:
    """Return the header of a mask or a segmentation.

    Args:
        path: A file (a mask, 3D Slicer's ``.seg.nrrd``), or a folder with the slices of one DICOM series.

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


def _volume(path: Path, *, mask: bool) -> Volume:
    header = _header(path, mask=mask)
    if path.is_dir():
        return Volume(header, read_series(path, find_series(path)))
    return Volume(header, read_volume(path, layers=mask))


def _header(path: Path, *, mask: bool) -> SourceHeader:
    if path.is_dir():
        series = find_series(path)
        return SourceHeader(series.geometry, 1, series.rescaled, series.distances_mm)
    header = read_header(path)
    if header.components != 1 and not mask:
        problem = f"has {header.components} values per voxel, as a picture in colour has."
        raise VolumeError(path, problem, KINDS["colour"].remedy, code="colour")
    segments = parse_segments(header.fields, header.components) if mask else ()
    if header.components != 1 and not segments:
        problem = f"has {header.components} layers, and its header names no segments in them."
        raise VolumeError(path, problem, KINDS["mask-layers"].remedy, code="mask-layers")
    return SourceHeader(header.geometry, header.components, header.rescaled, segments=segments)
