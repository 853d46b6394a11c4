"""A DICOM SEG as layers of labels: segments by name, frames by position on the segmentation's own grid.

Frames without a voxel are usually not stored: a position without a frame is background. highdicom reads the same, but
only files that are complete by the standard, which those of many programs are not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.dicom_attributes import items, number, refuse_attribute, text
from nnunet_femur.imaging.dicom_slices import slices_of
from nnunet_femur.imaging.dicom_stack import axes_of, same_plane
from nnunet_femur.imaging.dicom_voxels import decoded
from nnunet_femur.imaging.geometry import Geometry, VolumeError
from nnunet_femur.imaging.labels import Segment
from nnunet_femur.kinds import KINDS, finding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import SimpleITK as sitk
    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.dicom_files import DicomFile
    from nnunet_femur.imaging.dicom_slices import Slice

_OFF_GRID = 0.05
"""Largest part of a slice distance by which a frame may be off the grid of all frames."""

_MOST_MISSING = 20
"""Positions without a frame for each one with a frame, beyond which a grid is no grid."""

_SET_FROM = 0.5
"""Probability or occupancy from which a voxel of a FRACTIONAL segmentation belongs to the segment."""


@dataclass(frozen=True)
class Segmentation:
    """A DICOM SEG without its voxels.

    Attributes:
        file: The file.
        geometry: Grid of its frames, with the positions that have none.
        kind: "BINARY", "FRACTIONAL" or "LABELMAP".
        segments: One layer for each segment; for a LABELMAP all in one layer.
        frames: For each stored frame the index of its position and its segment's number (0 in a LABELMAP).
        most: Value of a FRACTIONAL segmentation that stands for 1.
        findings: What was assumed; their file is the path as given.
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
        path: The file or folder that errors are about.
        file: The DICOM SEG.

    Raises:
        VolumeError: An attribute is missing or makes no sense, or the frames are not on one grid.
    """
    header = file.header
    kind = text(header, "SegmentationType").upper()
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise refuse_attribute(path, "is a DICOM SEG with an invalid or no SegmentationType.", "SegmentationType")
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
        problem = f"is a FRACTIONAL segmentation; voxels of {_SET_FROM:g} and more were taken."
        findings.append(finding("seg-fractional", path, problem))
    segments = tuple(
        Segment(name, each, 0) if kind == "LABELMAP" else Segment(name, each, layer)
        for layer, (each, name) in enumerate(sorted(named.items()))
    )
    return Segmentation(
        file.path, geometry, kind, segments, tuple(zip(places, numbers, strict=True)), most, tuple(findings)
    )


def _segment_numbers(path: Path, file: DicomFile, count: int, known: set[int]) -> list[int]:
    """Return the number of the segment that each frame belongs to."""
    shared = _referenced([*items(file.header, "SharedFunctionalGroupsSequence"), None][0])
    own = [_referenced(group) for group in items(file.header, "PerFrameFunctionalGroupsSequence")]
    own += [None] * (count - len(own))
    found = [shared if each is None else each for each in own[:count]]
    numbers = [int(each) for each in found if each is not None and int(each) in known]
    if len(numbers) != count:
        problem = f"is a DICOM SEG with {count - len(numbers)} frame(s) of no or an unknown segment."
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
    """Return the grid of all frames, and the index of each frame's position on it.

    Raises:
        VolumeError: The frames are not on one grid of even positions.
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
    way_mm = positions_mm - positions_mm[start]
    aside_mm = np.linalg.norm(way_mm - np.outer(way_mm @ normal, normal), axis=1).max()
    if aside_mm > 0.1 * max(first.spacing_mm_xy):
        problem = f"is a DICOM SEG with frames that are shifted against each other by up to {aside_mm:.1f} mm."
        raise VolumeError(path, problem, KINDS["slices-uneven"].remedy, code="slices-uneven")
    between_mm, thickness_mm = _stated(file, "SpacingBetweenSlices"), _stated(file, "SliceThickness")
    distance_mm = _distance(path, along_mm - along_mm[start], between_mm=between_mm, thickness_mm=thickness_mm)
    places = np.rint((along_mm - along_mm[start]) / distance_mm).astype(int)
    geometry = Geometry(
        (*first.size_xy, int(places.max()) + 1),
        (*first.spacing_mm_xy, distance_mm),
        tuple(float(each) for each in slices[start].position_mm),
        tuple(float(each) for each in axes.T.ravel()),
    )
    return geometry, [int(place) for place in places]


def _stated(file: DicomFile, name: str) -> float | None:
    """Return a length in mm of the pixel measures; None if it is missing or invalid."""
    groups = [
        *items(file.header, "SharedFunctionalGroupsSequence")[:1],
        *items(file.header, "PerFrameFunctionalGroupsSequence")[:1],
    ]
    found = [number(item, name) for group in groups for item in items(group, "PixelMeasuresSequence")]
    return next((abs(each) for each in found if each is not None and 1e-3 <= abs(each) <= 1e3), None)


def _distance(
    path: Path, along_mm: NDArray[np.float64], *, between_mm: float | None, thickness_mm: float | None
) -> float:
    """Return the distance of which all distances between frames are multiples, in mm.

    The header's distance between slices is taken where all frames fit it, as highdicom does. Else the positions decide,
    if most frames have a neighbour at their smallest distance: a frame off the others' grid would make thin slices of
    all of them.

    Args:
        path: The path that errors are about.
        along_mm: Positions along the normal, from 0.
        between_mm: SpacingBetweenSlices, if the header has it.
        thickness_mm: SliceThickness, if the header has it; it is taken where there is one position only.

    Raises:
        VolumeError: There is no such distance.
    """
    steps_mm = np.diff(np.unique(np.round(along_mm, 4)))
    steps_mm = steps_mm[steps_mm > 1e-3]
    if not steps_mm.size:
        only_mm = between_mm or thickness_mm
        if only_mm is None:
            problem = "is a DICOM SEG with one position and does not contain SpacingBetweenSlices."
            raise refuse_attribute(path, problem, "SpacingBetweenSlices")
        return only_mm
    least_mm, whole_mm = float(steps_mm.min()), float(along_mm.max())
    for near_mm in (between_mm, least_mm):
        if near_mm is None:
            continue
        # All steps together give the distance more precisely than one of them.
        parts = np.maximum(np.rint(steps_mm / near_mm), 1)
        exact_mm = whole_mm / float(parts.sum())
        fits = np.abs(along_mm / exact_mm - np.rint(along_mm / exact_mm)).max() <= _OFF_GRID
        filled = whole_mm / exact_mm <= _MOST_MISSING * (steps_mm.size + 1)
        stated = near_mm == between_mm and abs(exact_mm - near_mm) <= _OFF_GRID * near_mm
        if fits and filled and (stated or 2 * int((parts == 1).sum()) >= steps_mm.size):
            return exact_mm
    problem = f"is a DICOM SEG with frames at {least_mm:.6g} to {float(steps_mm.max()):.6g} mm from each other."
    raise VolumeError(path, problem, "Export it on the grid of its CT.", code="slices-uneven")


def read_segmentation(path: Path, segmentation: Segmentation) -> tuple[tuple[Segment, ...], sitk.Image]:
    """Read the voxels of a DICOM SEG.

    Segments that do not overlap share a layer, so that a hundred of them fit into memory.

    Args:
        path: The file or folder that errors are about.
        segmentation: Its segments and grid.

    Returns:
        The segments with their values and layers, and an image with a component for each layer.

    Raises:
        VolumeError: It is truncated or cannot be decoded, or does not fit into memory.
    """
    import SimpleITK as sitk

    try:
        if segmentation.kind == "LABELMAP":
            layers, segments = [_labels(path, segmentation)], segmentation.segments
        else:
            layers, segments = _packed(path, segmentation)
        # Several components are the last axis of SimpleITK's array.
        several = len(layers) > 1
        image = sitk.GetImageFromArray(np.stack(layers, axis=-1) if several else layers[0], isVector=several)
    except (MemoryError, RuntimeError) as error:
        raise VolumeError(path, "does not fit into memory.", KINDS["too-large"].remedy, code="too-large") from error
    image.SetSpacing(segmentation.geometry.spacing_mm_xyz)
    image.SetOrigin(segmentation.geometry.origin_mm_xyz)
    image.SetDirection(segmentation.geometry.direction)
    return segments, image


def _labels(path: Path, segmentation: Segmentation) -> NDArray:
    labels: NDArray | None = None
    for frame, plane in decoded(path, segmentation.file, range(len(segmentation.frames))):
        if labels is None:
            labels = np.zeros(segmentation.geometry.shape_zyx, plane.dtype)
        _require_size(path, plane, labels)
        labels[segmentation.frames[frame][0]] = plane
    if labels is None:
        labels = np.zeros(segmentation.geometry.shape_zyx, np.uint8)
    return labels


def _packed(path: Path, segmentation: Segmentation) -> tuple[list[NDArray], tuple[Segment, ...]]:
    """Put segments into as few layers as hold them without overlap; a voxel has the number of its segment."""
    kind = np.uint8 if max(each.value for each in segmentation.segments) < 256 else np.uint16
    by_segment: dict[int, list[int]] = defaultdict(list)
    for frame, (_, segment) in enumerate(segmentation.frames):
        by_segment[segment].append(frame)
    order = [frame for segment in sorted(by_segment) for frame in by_segment[segment]]
    layers = [np.zeros(segmentation.geometry.shape_zyx, kind)]
    layer_of = dict.fromkeys(by_segment, 0)
    held: dict[int, NDArray[np.bool_]] = {}
    for frame, plane in decoded(path, segmentation.file, order):
        place, segment = segmentation.frames[frame]
        _require_size(path, plane, layers[0])
        held[place] = plane >= _SET_FROM * segmentation.most if segmentation.kind == "FRACTIONAL" else plane > 0
        if frame == by_segment[segment][-1]:
            layer_of[segment] = _placed(layers, held, segment)
            held = {}
    segments = tuple(Segment(each.name, each.value, layer_of.get(each.value, 0)) for each in segmentation.segments)
    return layers, segments


def _placed(layers: list[NDArray], held: dict[int, NDArray[np.bool_]], segment: int) -> int:
    """Write one segment into the first layer where all its voxels are free; add a layer if there is no such one."""
    free = (index for index, layer in enumerate(layers) if not any(layer[at][set_].any() for at, set_ in held.items()))
    index = next(free, len(layers))
    if index == len(layers):
        layers.append(np.zeros_like(layers[0]))
    for at, set_ in held.items():
        layers[index][at][set_] = segment
    return index


def _require_size(path: Path, plane: NDArray, volume: NDArray) -> None:
    if plane.shape != volume.shape[1:]:
        raise VolumeError(path, "has frames of another size than its header gives.", KINDS["unreadable"].remedy)
