"""Read an RTSTRUCT as layers of labels: ROIs by name, filled on the grid of the CT on which they were drawn.

Contours contain no grid. It is in the file, if the program that wrote it follows a recent edition of the standard, or
else in the slices of the CT beside the file.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.imaging.contours import pixels_inside, pixels_on
from nnunet_femur.imaging.dicom_content import Content, items, number, numbers, refuse_attribute, text, value
from nnunet_femur.imaging.dicom_segmentation import add_to_free_layer
from nnunet_femur.imaging.dicom_series import find_series
from nnunet_femur.imaging.geometry import Geometry, VolumeError, image_of
from nnunet_femur.imaging.segments import Segment
from nnunet_femur.kinds import KINDS, finding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import SimpleITK as sitk
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.dicom_content import DicomFile


_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
"""Types of contours that contain voxels."""

_OFF_PLANE = 0.3
"""Largest distance of a contour from its slice, as a part of the slice distance."""

_AT_CENTRE = 0.01
"""Largest distance of a point from the centre of a voxel through which it was drawn, in voxels."""

_MOST_VOXELS = 1 << 33

Contours = dict[int, list["NDArray[np.float64]"]]
"""Contours of one ROI by the index of their slice: points x, y in voxels, shape (n, 2)."""


@dataclass(frozen=True)
class StructureSet:
    """An RTSTRUCT, as contours on a grid.

    Attributes:
        file: The file.
        geometry: Grid of the CT.
        segments: The ROIs, each in its own layer.
        contours: Contours of each ROI, by the value of its segment.
        findings: Assumptions; their file is the path as given.
    """

    file: Path
    geometry: Geometry
    segments: tuple[Segment, ...]
    contours: dict[int, Contours]
    findings: tuple[Finding, ...] = ()


def find_structures(path: Path, file: DicomFile, files: Sequence[DicomFile]) -> StructureSet:
    """Return the ROIs and the grid of an RTSTRUCT.

    Args:
        path: The file or folder that errors name.
        file: The RTSTRUCT.
        files: Files among which the CT may be.

    Raises:
        VolumeError: There are no contours (code "not-mask"), their grid is not known ("dicom-attribute"), or they are
            not on the slices of the CT ("slices-uneven", "slice-gap").
    """
    header = _read(path, file.path)
    names = {
        roi: text(item, "ROIName") or f"ROI {roi}"
        for item in items(header, "StructureSetROISequence")
        if (roi := _whole(item, "ROINumber")) is not None
    }
    drawn = [
        (roi, item)
        for item in items(header, "ROIContourSequence")
        if (roi := _whole(item, "ReferencedROINumber")) in names
    ]
    if not drawn:
        raise VolumeError(path, "is an RTSTRUCT without contours.", KINDS["not-mask"].remedy, code="not-mask")
    geometry = _own_grid(path, drawn) or _grid_of_ct(path, header, files)
    if int(np.prod(geometry.size_xyz, dtype=np.int64)) > _MOST_VOXELS:
        raise VolumeError(
            path, "has a grid that does not fit into memory.", KINDS["too-large"].remedy, code="too-large"
        )
    segments, contours = [], {}
    for index, (roi, item) in enumerate(drawn, start=1):
        segments.append(Segment(names[roi], index, index - 1))
        contours[index] = _contours(path, item, geometry)
    problem = "is an RTSTRUCT; the voxels whose centres are within its contours were used."
    return StructureSet(file.path, geometry, tuple(segments), contours, (finding("contours-filled", path, problem),))


def read_structures(path: Path, found: StructureSet) -> tuple[tuple[Segment, ...], sitk.Image]:
    """Return the voxels of an RTSTRUCT; ROIs that do not overlap share a layer.

    Args:
        path: The file or folder that errors name.
        found: Its contours and grid.

    Returns:
        The segments with their values and layers, and an image with a component for each layer.

    Raises:
        VolumeError: The voxels do not fit into memory (code "too-large").
    """
    try:
        kind = np.uint8 if len(found.segments) < 256 else np.uint16
        layers = [np.zeros(found.geometry.shape_zyx, kind)]
        shape_yx = layers[0].shape[1:]
        segments = []
        for segment in found.segments:
            planes = _filled(found.contours[segment.value], shape_yx)
            layer = add_to_free_layer(layers, planes, segment.value)
            segments.append(Segment(segment.name, segment.value, layer))
        voxels = np.stack(layers, axis=-1) if len(layers) > 1 else layers[0]
        return tuple(segments), image_of(voxels, found.geometry)
    except (MemoryError, RuntimeError) as error:
        raise VolumeError(path, "does not fit into memory.", KINDS["too-large"].remedy, code="too-large") from error


def _filled(contours: Contours, shape_yx: tuple[int, ...]) -> dict[int, NDArray[np.bool_]]:
    """Return the voxels of an ROI by the index of their slice.

    Some programs, such as rt-utils, draw contours through the centres of the outermost voxels, which are inside then.
    """
    points = np.vstack([np.zeros((0, 2)), *(loop for loops in contours.values() for loop in loops)])
    filled = {place: pixels_inside(loops, shape_yx) for place, loops in contours.items()}
    if np.abs(points - np.rint(points)).max(initial=0) <= _AT_CENTRE:
        return {place: inside | pixels_on(contours[place], shape_yx) for place, inside in filled.items()}
    return filled


def _read(path: Path, file: Path) -> Dataset:
    import pydicom

    try:
        return pydicom.dcmread(file, force=True)
    except Exception as error:  # a damaged file can raise anything in a parser
        raise VolumeError(path, "is truncated or damaged.", KINDS["unreadable"].remedy) from error


def _whole(item: Any, name: str) -> int | None:
    found = number(item, name)
    return None if found is None else int(found)


def _own_grid(path: Path, drawn: Sequence[tuple[int, Dataset]]) -> Geometry | None:
    """Return the grid in the file; None if the file does not contain it.

    Raises:
        VolumeError: It is incomplete, or differs between ROIs (code "dicom-attribute").
    """
    grids = {
        _geometry(path, planes)
        for _, item in drawn
        for planes in items(item, "SourcePixelPlanesCharacteristicsSequence")
    }
    if len(grids) > 1:
        problem = "is an RTSTRUCT whose ROIs have different grids."
        raise refuse_attribute(path, problem, "SourcePixelPlanesCharacteristicsSequence")
    return grids.pop() if grids else None


def _geometry(path: Path, planes: Dataset) -> Geometry:
    sizes = [number(planes, name) for name in ("Columns", "Rows", "NumberOfFrames")]
    spacing, position = numbers(planes, "PixelSpacing", 2), numbers(planes, "ImagePositionPatient", 3)
    distance, cosines = number(planes, "SpacingBetweenSlices"), numbers(planes, "ImageOrientationPatient", 6)
    sized = [int(size) for size in sizes if size is not None and 1 <= size <= 100_000]
    if len(sized) != 3 or spacing is None or position is None or distance is None or cosines is None:
        problem = "is an RTSTRUCT with an incomplete grid."
        raise refuse_attribute(path, problem, "SourcePixelPlanesCharacteristicsSequence")
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    lengths_mm = (spacing[1], spacing[0], distance)
    if abs(row @ column) > 1e-2 or not all(1e-3 <= each <= 1e3 for each in lengths_mm):
        raise VolumeError(path, "has an invalid grid.", KINDS["bad-geometry"].remedy, code="bad-geometry")
    row, column = row / np.linalg.norm(row), column / np.linalg.norm(column)
    axes = np.column_stack([row, column, np.cross(row, column)])
    return Geometry(tuple(sized), lengths_mm, position, tuple(float(each) for each in axes.ravel()))


def _grid_of_ct(path: Path, header: Dataset, files: Sequence[DicomFile]) -> Geometry:
    """Return the grid of the CT beside the file that it refers to.

    Raises:
        VolumeError: The CT is not there (code "dicom-attribute"), or is not a volume.
    """
    series = {
        text(each, "SeriesInstanceUID")
        for frame in items(header, "ReferencedFrameOfReferenceSequence")
        for study in items(frame, "RTReferencedStudySequence")
        for each in items(study, "RTReferencedSeriesSequence")
    }
    images = [each for each in files if each.content in (Content.CT, Content.IMAGE)]
    meant = [each for each in images if text(each.header, "SeriesInstanceUID") in series]
    if not meant:
        problem = "is an RTSTRUCT without the grid of its CT."
        remedy = "Give it with the DICOM series of its CT, put the slices beside it, or export the mask as DICOM SEG."
        raise VolumeError(path, problem, remedy, code="dicom-attribute")
    return find_series(path, meant, any_values=True).geometry


def _contours(path: Path, item: Dataset, geometry: Geometry) -> Contours:
    """Return the contours of an ROI by the index of their slice."""
    found: Contours = defaultdict(list)
    for contour in items(item, "ContourSequence"):
        if text(contour, "ContourGeometricType") not in _CLOSED:
            continue
        points_xyz = geometry.index_of(_points_mm(path, contour))
        places = points_xyz[:, 2]
        place = round(float(places.mean()))
        if np.abs(places - place).max() > _OFF_PLANE:
            problem = "is an RTSTRUCT with contours between the slices of its CT, or in another plane."
            raise VolumeError(path, problem, "Export the mask as DICOM SEG.", code="slices-uneven")
        if not 0 <= place < geometry.size_xyz[2]:
            problem = "is an RTSTRUCT with contours outside its CT."
            raise VolumeError(path, problem, KINDS["grids-apart"].remedy, code="grids-apart")
        found[place].append(points_xyz[:, :2])
    apart = np.diff(sorted(found))
    if len(apart) > 1 and apart.min() > 1:
        problem = f"is an RTSTRUCT with contours in every {int(apart.min())}. slice only."
        remedy = "Interpolate them in the program that drew them, or export the mask as DICOM SEG."
        raise VolumeError(path, problem, remedy, code="slice-gap")
    return dict(found)


def _points_mm(path: Path, contour: Dataset) -> NDArray[np.float64]:
    """Return the points of a contour, shape (n, 3)."""
    data = value(contour, "ContourData")
    try:
        points_mm = np.array([float(each) for each in data], np.float64).reshape(-1, 3)
    except (TypeError, ValueError) as error:
        raise refuse_attribute(path, "is an RTSTRUCT with an invalid contour.", "ContourData") from error
    if not len(points_mm) or not np.isfinite(points_mm).all():
        raise refuse_attribute(path, "is an RTSTRUCT with an invalid contour.", "ContourData")
    return points_mm
