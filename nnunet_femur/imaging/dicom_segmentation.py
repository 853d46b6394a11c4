"""Read a DICOM SEG as layers of labels: segments by name, and frames by position on the segmentation's own grid.

Frames without a voxel are usually not stored, so a position without a frame is background. highdicom could read these
files too, but only if they comply with the standard, which the files of many programs do not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.dicom_content import items, number, refuse_attribute, text
from nnunet_femur.imaging.dicom_slices import slices_of
from nnunet_femur.imaging.dicom_stack import axes_of, same_plane
from nnunet_femur.imaging.dicom_voxels import decoded
from nnunet_femur.imaging.geometry import Geometry, VolumeError, image_of
from nnunet_femur.imaging.segments import Segment
from nnunet_femur.kinds import KINDS, finding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import SimpleITK as sitk
    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.dicom_content import DicomFile
    from nnunet_femur.imaging.dicom_slices import Slice


_OFF_GRID = 0.05
"""Largest distance of a frame from the grid of all frames, as a part of the slice distance."""

_MOST_MISSING = 20
"""Largest number of positions without a frame for each position with a frame."""

_LEAST_FRACTION = 0.5
"""Least probability or occupancy of a voxel in the segment, for a FRACTIONAL segmentation."""


@dataclass(frozen=True)
class Segmentation:
    """A DICOM SEG without its voxels.

    Attributes:
        file: The file.
        geometry: Grid of its frames, including positions without a frame.
        kind: "BINARY", "FRACTIONAL" or "LABELMAP".
        segments: The segments, each in its own layer; in a LABELMAP all in one layer.
        frames: Index of the position, and number of the segment (0 in a LABELMAP), for each stored frame.
        most: Value that represents 1 in a FRACTIONAL segmentation.
        findings: Assumptions; their file is the path as given.
    """

    file: Path
    geometry: Geometry
    kind: str
    segments: tuple[Segment, ...]
    frames: tuple[tuple[int, int], ...]
    most: float
    findings: tuple[Finding, ...] = ()


def find_segmentation(path: Path, file: DicomFile) -> Segmentation:
    """Return the segments and the grid of a DICOM SEG.

    Args:
        path: The file or folder that errors name.
        file: The DICOM SEG.

    Raises:
        VolumeError: An attribute is missing or invalid, or the frames are not on one grid.
    """
    header = file.header
    kind = text(header, "SegmentationType").upper()
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise refuse_attribute(path, "is a DICOM SEG whose SegmentationType is missing or invalid.", "SegmentationType")
    named = {
        int(segment_number): text(item, "SegmentLabel") or f"Segment{int(segment_number)}"
        for item in items(header, "SegmentSequence")
        if (segment_number := number(item, "SegmentNumber")) is not None
    }
    named.pop(0, None)  # the background of a LABELMAP
    if not named:
        raise refuse_attribute(path, "is a DICOM SEG without segments.", "SegmentSequence")
    slices = slices_of(file, path)
    numbers = [0] * len(slices) if kind == "LABELMAP" else _segment_numbers(path, file, len(slices), set(named))
    geometry, places = _grid(path, slices, file)
    twice = [pair for pair, count in Counter(zip(places, numbers, strict=True)).items() if count > 1]
    if twice:
        problem = f"is a DICOM SEG with two frames of one segment at {len(twice)} position(s)."
        raise VolumeError(path, problem, KINDS["slices-uneven"].remedy, code="slices-uneven")
    findings = []
    most = number(header, "MaximumFractionalValue") or 255
    if kind == "FRACTIONAL":
        problem = f"is a FRACTIONAL segmentation; voxels of {_LEAST_FRACTION:g} or more were used."
        findings.append(finding("seg-fractional", path, problem))
    segments = tuple(
        Segment(name, each, 0) if kind == "LABELMAP" else Segment(name, each, layer)
        for layer, (each, name) in enumerate(sorted(named.items()))
    )
    return Segmentation(
        file.path, geometry, kind, segments, tuple(zip(places, numbers, strict=True)), most, tuple(findings)
    )


def read_segmentation(path: Path, segmentation: Segmentation) -> tuple[tuple[Segment, ...], sitk.Image]:
    """Return the voxels of a DICOM SEG.

    Segments that do not overlap share a layer, so that a hundred segments fit into memory.

    Args:
        path: The file or folder that errors name.
        segmentation: Its segments and grid.

    Returns:
        The segments with their values and layers, and an image with a component for each layer.

    Raises:
        VolumeError: The file is truncated, cannot be decoded, or does not fit into memory.
    """
    try:
        if segmentation.kind == "LABELMAP":
            layers, segments = [_label_layer(path, segmentation)], segmentation.segments
        else:
            layers, segments = _shared_layers(path, segmentation)
        voxels = np.stack(layers, axis=-1) if len(layers) > 1 else layers[0]
        return segments, image_of(voxels, segmentation.geometry)
    except (MemoryError, RuntimeError) as error:
        raise VolumeError(path, "does not fit into memory.", KINDS["too-large"].remedy, code="too-large") from error


def _segment_numbers(path: Path, file: DicomFile, count: int, known: set[int]) -> list[int]:
    """Return the number of the segment of each frame."""
    shared = _referenced([*items(file.header, "SharedFunctionalGroupsSequence"), None][0])
    own = [_referenced(group) for group in items(file.header, "PerFrameFunctionalGroupsSequence")]
    own += [None] * (count - len(own))
    found = [shared if each is None else each for each in own[:count]]
    numbers = [int(each) for each in found if each is not None and int(each) in known]
    if len(numbers) != count:
        problem = f"is a DICOM SEG in which the segment of {count - len(numbers)} frame(s) is missing or unknown."
        raise refuse_attribute(path, problem, "ReferencedSegmentNumber")
    return numbers


def _referenced(group: object) -> float | None:
    return next(
        (
            found
            for item in items(group, "SegmentIdentificationSequence")
            if (found := number(item, "ReferencedSegmentNumber")) is not None
        ),
        None,
    )


def _grid(path: Path, slices: Sequence[Slice], file: DicomFile) -> tuple[Geometry, list[int]]:
    """Return the grid of all frames, and the index of each frame on it.

    Raises:
        VolumeError: The frames are not on one grid of evenly spaced positions.
    """
    first = slices[0]
    if not all(same_plane(first, each) for each in slices):
        problem = "is a DICOM SEG with frames of different spacings or directions."
        raise VolumeError(path, problem, KINDS["slices-uneven"].remedy, code="slices-uneven")
    axes = axes_of(first)
    normal = axes[2]
    positions_mm = np.array([each.position_mm for each in slices])
    along_mm = positions_mm @ normal
    start = int(np.argmin(along_mm))
    offsets_mm = positions_mm - positions_mm[start]
    shift_mm = np.linalg.norm(offsets_mm - np.outer(offsets_mm @ normal, normal), axis=1).max()
    if shift_mm > 0.1 * max(first.spacing_mm_xy):
        problem = f"is a DICOM SEG with frames that are shifted against each other by up to {shift_mm:.1f} mm."
        raise VolumeError(path, problem, KINDS["slices-uneven"].remedy, code="slices-uneven")
    between_mm, thickness_mm = (
        _pixel_measure_mm(file, "SpacingBetweenSlices"),
        _pixel_measure_mm(file, "SliceThickness"),
    )
    distance_mm = _slice_distance_mm(path, along_mm - along_mm[start], between_mm=between_mm, thickness_mm=thickness_mm)
    places = np.rint((along_mm - along_mm[start]) / distance_mm).astype(int)
    geometry = Geometry(
        (*first.size_xy, int(places.max()) + 1),
        (*first.spacing_mm_xy, distance_mm),
        tuple(float(each) for each in slices[start].position_mm),
        tuple(float(each) for each in axes.T.ravel()),
    )
    return geometry, [int(place) for place in places]


def _pixel_measure_mm(file: DicomFile, name: str) -> float | None:
    """Return a length in mm of the pixel measures; None if it is missing or invalid."""
    groups = [
        *items(file.header, "SharedFunctionalGroupsSequence")[:1],
        *items(file.header, "PerFrameFunctionalGroupsSequence")[:1],
    ]
    found = [number(item, name) for group in groups for item in items(group, "PixelMeasuresSequence")]
    return next((abs(each) for each in found if each is not None and 1e-3 <= abs(each) <= 1e3), None)


def _slice_distance_mm(
    path: Path, along_mm: NDArray[np.float64], *, between_mm: float | None, thickness_mm: float | None
) -> float:
    """Return the slice distance in mm; the distances between all frames are multiples of it.

    The header's distance between slices is used if all frames fit it, as in highdicom. Otherwise the smallest distance
    between frames is used, if most frames have a neighbour at that distance: a single frame off the grid of the others
    would make all slices thin.

    Args:
        path: The path that errors name.
        along_mm: Positions along the normal, from 0.
        between_mm: SpacingBetweenSlices; None if it is missing.
        thickness_mm: SliceThickness, which is used if there is only one position; None if it is missing.

    Raises:
        VolumeError: No distance fits all positions.
    """
    steps_mm = np.diff(np.unique(np.round(along_mm, 4)))
    steps_mm = steps_mm[steps_mm > 1e-3]
    if not steps_mm.size:
        only_mm = between_mm or thickness_mm
        if only_mm is None:
            problem = "is a DICOM SEG with a single position and without SpacingBetweenSlices."
            raise refuse_attribute(path, problem, "SpacingBetweenSlices")
        return only_mm
    least_mm, whole_mm = float(steps_mm.min()), float(along_mm.max())
    for near_mm in (between_mm, least_mm):
        if near_mm is None:
            continue
        # The mean over all steps is more precise than a single step.
        parts = np.maximum(np.rint(steps_mm / near_mm), 1)
        exact_mm = whole_mm / float(parts.sum())
        fits = np.abs(along_mm / exact_mm - np.rint(along_mm / exact_mm)).max() <= _OFF_GRID
        filled = whole_mm / exact_mm <= _MOST_MISSING * (steps_mm.size + 1)
        stated = near_mm == between_mm and abs(exact_mm - near_mm) <= _OFF_GRID * near_mm
        if fits and filled and (stated or 2 * int((parts == 1).sum()) >= steps_mm.size):
            return exact_mm
    problem = f"is a DICOM SEG with frames {least_mm:.6g} to {float(steps_mm.max()):.6g} mm apart."
    raise VolumeError(path, problem, "Export it on the grid of its CT.", code="slices-uneven")


def _label_layer(path: Path, segmentation: Segmentation) -> NDArray:
    """Return the only layer of a LABELMAP, z, y, x; a voxel is the number of its segment."""
    labels: NDArray | None = None
    for frame, plane in decoded(path, segmentation.file, range(len(segmentation.frames))):
        if labels is None:
            labels = np.zeros(segmentation.geometry.shape_zyx, plane.dtype)
        _require_size(path, plane, labels)
        labels[segmentation.frames[frame][0]] = plane
    if labels is None:
        labels = np.zeros(segmentation.geometry.shape_zyx, np.uint8)
    return labels


def _shared_layers(path: Path, segmentation: Segmentation) -> tuple[list[NDArray], tuple[Segment, ...]]:
    """Distribute segments over few layers, in which they do not overlap; a voxel is the number of its segment."""
    kind = np.uint8 if max(each.value for each in segmentation.segments) < 256 else np.uint16
    by_segment: dict[int, list[int]] = defaultdict(list)
    for frame, (_, segment) in enumerate(segmentation.frames):
        by_segment[segment].append(frame)
    order = [frame for segment in sorted(by_segment) for frame in by_segment[segment]]
    layers = [np.zeros(segmentation.geometry.shape_zyx, kind)]
    layer_of = dict.fromkeys(by_segment, 0)
    planes: dict[int, NDArray[np.bool_]] = {}
    for frame, plane in decoded(path, segmentation.file, order):
        place, segment = segmentation.frames[frame]
        _require_size(path, plane, layers[0])
        planes[place] = plane >= _LEAST_FRACTION * segmentation.most if segmentation.kind == "FRACTIONAL" else plane > 0
        if frame == by_segment[segment][-1]:
            layer_of[segment] = add_to_free_layer(layers, planes, segment)
            planes = {}
    segments = tuple(Segment(each.name, each.value, layer_of.get(each.value, 0)) for each in segmentation.segments)
    return layers, segments


def add_to_free_layer(layers: list[NDArray], planes: dict[int, NDArray[np.bool_]], segment: int) -> int:
    """Write one segment into the first layer in which all its voxels are free, or into a new one; return its index."""
    free = (
        index for index, layer in enumerate(layers) if not any(layer[at][inside].any() for at, inside in planes.items())
    )
    index = next(free, len(layers))
    if index == len(layers):
        layers.append(np.zeros_like(layers[0]))
    for at, inside in planes.items():
        layers[index][at][inside] = segment
    return index


def _require_size(path: Path, plane: NDArray, volume: NDArray) -> None:
    if plane.shape != volume.shape[1:]:
        raise VolumeError(path, "has frames of another size than in its header.", KINDS["unreadable"].remedy)
