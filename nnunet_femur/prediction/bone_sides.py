"""Left and right femur of a mask: by the network's channels, by shape, by the other femur, or by the case id.

Each femur's side has a stated origin, and a side that nothing determines stays unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.boxes import box_of, is_empty
from nnunet_femur.imaging.sides import BOTH, LEFT, RIGHT, UNKNOWN, side_in_name
from nnunet_femur.measurement.femur_measurements import FemurMeasurements, Missing
from nnunet_femur.measurement.quantities import SHAPE_QUANTITIES
from nnunet_femur.measurement.side_checks import SHAPE, check_sides, side_by_shape
from nnunet_femur.prediction.postprocessing import FRAGMENT_ML, keep_largest, label_pieces
from nnunet_femur.prediction.prediction_kinds import not_measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.boxes import Box
    from nnunet_femur.imaging.geometry import Geometry

VALUES = {LEFT: 1, RIGHT: 2, UNKNOWN: 3}
"""Value of a voxel by the side of its femur, in masks with sides."""

NETWORK, OTHER_BONE, POSITION, ID = "network", "other-bone", "position", "id"
"""Origins of a side besides :data:`~nnunet_femur.measurement.side_checks.SHAPE`."""

_IN_WORDS = {
    OTHER_BONE: "the side of the other femur, not by its shape",
    POSITION: "its position in the CT, not by its shape",
    ID: "the case id, not by its shape",
}

_BONE_SHARE = 0.15
"""Least size of a piece that counts as a femur, as a share of the largest; smaller ones belong to the nearest femur."""

_MOST_BONES = 4
"""Largest number of pieces that are measured: two femurs, each in two pieces."""

_LARGEST_ML = 4000.0
"""Largest volume of a piece that is measured. A network's noise in a whole CT has a surface that takes gigabytes."""

_ONE_SIDE = 0.8
"""Least share of a femur's voxels in which the network must prefer one side."""

_BESIDE_MM = 50.0
"""Least distance of two femurs that are beside each other, perpendicular to their long axis."""

_POINTS = 20_000
"""Number of voxels that are sufficient for the axis of a bone, and for distances to it."""


@dataclass(frozen=True)
class SidedFemurs:
    """The femurs of a mask, each with its side.

    Attributes:
        values_zyx: :data:`VALUES` of each voxel's side in the femur, 0 elsewhere.
        femurs: Measurements of each femur, the largest first, with its side and the origin of the side.
        findings: Contradictions between shape, header, id and network.
    """

    values_zyx: NDArray[np.uint8]
    femurs: tuple[FemurMeasurements, ...]
    findings: tuple[Finding, ...]

    @property
    def unknown(self) -> bool:
        """True if a part of the mask belongs to a femur of unknown side."""
        return bool((self.values_zyx == VALUES[UNKNOWN]).any())

    def doubts(self) -> list[str]:
        """Return short texts about sides that are unknown, or that neither a network nor the shape determined."""
        by_others = [f"{each.side} by {_IN_WORDS[each.side_source]}" for each in self.femurs if _is_weak(each)]
        unknown = f"side unknown, written as {VALUES[UNKNOWN]}: the shape does not determine it"
        return by_others + ([unknown] if self.unknown else [])


@dataclass(frozen=True)
class _Bone:
    """One femur of a mask, or a large piece of one."""

    voxels_zyx: NDArray[np.bool_]
    by_network: str
    points_mm: NDArray[np.float64]


def tell_sides(
    mask_zyx: NDArray, geometry: Geometry, *, case: str, network_zyx: NDArray[np.int8] | None = None
) -> SidedFemurs:
    """Tell the left from the right femur in a mask.

    The first of these that determines the side of a femur decides: the network's channels, if they prefer one side in
    four fifths of its voxels; the shape of the femur; of two femurs beside each other, the side of the other one; of
    two whose shape is unknown, their position in the patient; the id of the case. Small pieces belong to the nearest
    femur.

    Args:
        mask_zyx: The mask (z, y, x), not 0 in the femur.
        geometry: Geometry of its voxels.
        case: Name of the case, whose id is compared with the shape.
        network_zyx: Above 0 where the network prefers left, below 0 where it prefers right, of the shape of the mask;
            None if it does not distinguish the sides.
    """
    try:
        return _told(mask_zyx, geometry, case, network_zyx)
    except Exception as error:  # noqa: BLE001 - a mask exists, and must not be lost
        values = (mask_zyx != 0) * np.uint8(VALUES[UNKNOWN])
        return SidedFemurs(values, (), (not_measured(error, case),))


def _told(mask_zyx: NDArray, geometry: Geometry, case: str, network_zyx: NDArray[np.int8] | None) -> SidedFemurs:
    box = box_of(mask_zyx)
    inside = mask_zyx[box] != 0
    if is_empty(box):
        return SidedFemurs(np.zeros(mask_zyx.shape, np.uint8), (), ())
    bones = _bones(inside, None if network_zyx is None else network_zyx[box], geometry, box)
    measured = [_measured(bone, box, geometry, case) for bone in bones]
    bones, measured = _mended(bones, measured, box, geometry, case)
    told = _sides(bones, measured, side_in_name(case))
    femurs = tuple(with_side(each, *side) for each, side in zip(measured, told, strict=True))
    values = np.zeros(mask_zyx.shape, np.uint8)
    values[box] = _values(inside, bones, [VALUES[side] for side, _ in told], geometry, box)
    return SidedFemurs(values, femurs, _findings(femurs, case))


def given_sides(mask_zyx: NDArray, sides_zyx: Mapping[str, NDArray], geometry: Geometry, *, case: str) -> SidedFemurs:
    """Measure the femurs of a mask whose sides a network determined, and compare these with the shape.

    Args:
        mask_zyx: The mask (z, y, x), not 0 in the femur.
        sides_zyx: The left and the right femur by side, not 0 inside; one may be missing or empty.
        geometry: Geometry of the voxels.
        case: Name of the case, whose id is compared with the shape.
    """
    values = (mask_zyx != 0) * np.uint8(VALUES[UNKNOWN])
    femurs = []
    for side, voxels in sides_zyx.items():
        values[voxels != 0] = VALUES[side]
        if voxels.any():
            femurs.append(with_side(measure_bone(keep_largest(voxels), geometry, case=case), side, NETWORK))
    return SidedFemurs(values, tuple(femurs), _findings(femurs, case))


def _findings(femurs: Sequence[FemurMeasurements], case: str) -> tuple[Finding, ...]:
    failures = [each for femur in femurs for each in femur.findings]
    return (*failures, *check_sides(femurs, case, expected=side_in_name(case)))


def with_side(femur: FemurMeasurements, side: str, source: str) -> FemurMeasurements:
    """Return the measurements of a femur with its side and the origin of the side.

    Args:
        femur: The measurements.
        side: "left", "right" or "unknown".
        source: Origin of the side; empty if it is unknown.
    """
    return replace(femur, side=side, side_source=source)


def side_of(femurs: Sequence[FemurMeasurements]) -> str:
    """Return the side of a volume by its femurs: "left", "right", "both", or "unknown"."""
    known = {femur.side for femur in femurs} - {UNKNOWN}
    return BOTH if len(known) > 1 else known.pop() if known else UNKNOWN


def _is_weak(femur: FemurMeasurements) -> bool:
    return femur.side_source in _IN_WORDS


def measure_bone(mask_zyx: NDArray, geometry: Geometry, *, case: str) -> FemurMeasurements:
    """Measure the femur in a mask of one femur; its side is that of its shape, or unknown.

    An unexpected error is a finding of the result, and the reason of all its missing quantities. A piece that is far
    too large for a femur is not measured.

    Args:
        mask_zyx: The mask (z, y, x), not 0 in the femur.
        geometry: Geometry of its voxels.
        case: Name of the case.
    """
    from nnunet_femur.measurement.measuring import measure_mask

    volume_ml = np.count_nonzero(mask_zyx) * geometry.voxel_volume_ml
    if volume_ml > _LARGEST_ML:
        return _unmeasured(case, Missing("not-femur", f"One piece of {volume_ml:.0f} ml is larger than two femurs."))
    try:
        found = measure_mask(mask_zyx, geometry, case=case)
    except Exception as error:  # noqa: BLE001 - a mask exists, and must not be lost
        failed = not_measured(error, case)
        return _unmeasured(case, Missing(failed.code, f"The femur {failed.problem}"), failed)
    side = side_by_shape(found.anatomy)
    return with_side(found, side, "" if side == UNKNOWN else SHAPE)


def _unmeasured(case: str, reason: Missing, *findings: Finding) -> FemurMeasurements:
    missing = {each.key: reason for each in SHAPE_QUANTITIES}
    return FemurMeasurements(case, UNKNOWN, "", {}, missing, findings=findings)


def _measured(bone: _Bone, box: Box, geometry: Geometry, case: str) -> FemurMeasurements:
    # On the whole grid, whose border shows if the field of view cuts the bone.
    whole = np.zeros(geometry.shape_zyx, np.uint8)
    whole[box] = bone.voxels_zyx
    return measure_bone(whole, geometry, case=case)


def _mended(
    bones: list[_Bone], measured: list[FemurMeasurements], box: Box, geometry: Geometry, case: str
) -> tuple[list[_Bone], list[FemurMeasurements]]:
    """Join two pieces that are a femur only together, as where a fracture or metal interrupts the mask."""
    parts = [index for index, femur in enumerate(measured) if femur.side == UNKNOWN]
    if len(parts) != 2 or _beside(*(bones[index] for index in parts)):
        return bones, measured
    one, other = (bones[index] for index in parts)
    if one.by_network != other.by_network:
        return bones, measured
    voxels = one.voxels_zyx | other.voxels_zyx
    joined = _Bone(voxels, one.by_network, _points_mm(voxels, geometry, box))
    whole = _measured(joined, box, geometry, case)
    if whole.side == UNKNOWN:
        return bones, measured
    rest = [index for index in range(len(bones)) if index not in parts]
    return [joined, *(bones[index] for index in rest)], [whole, *(measured[index] for index in rest)]


def _bones(inside: NDArray[np.bool_], network: NDArray[np.int8] | None, geometry: Geometry, box: Box) -> list[_Bone]:
    """Return the femurs in the box of a mask, the largest first."""
    pieces, sizes = label_pieces(inside)
    least = max(FRAGMENT_ML / geometry.voxel_volume_ml, _BONE_SHARE * sizes.max())
    order = [int(index) for index in np.argsort(-sizes, kind="stable") if sizes[index] >= min(least, sizes.max())]
    bones: list[_Bone] = []
    for index in order[:_MOST_BONES]:
        bones += _sided_bones(pieces == index + 1, network, geometry, box)
    return bones


def _sided_bones(
    voxels: NDArray[np.bool_], network: NDArray[np.int8] | None, geometry: Geometry, box: Box
) -> list[_Bone]:
    """Return a piece as one femur, or as two if the network sees two of different sides beside each other in it."""
    whole = _Bone(voxels, UNKNOWN, _points_mm(voxels, geometry, box))
    if network is None:
        return [whole]
    parts = {LEFT: voxels & (network > 0), RIGHT: voxels & (network < 0)}
    shares = {side: np.count_nonzero(part) / np.count_nonzero(voxels) for side, part in parts.items()}
    clear = [side for side, share in shares.items() if share >= _ONE_SIDE]
    if clear or min(shares.values()) < _BONE_SHARE:
        return [replace(whole, by_network=clear[0] if clear else UNKNOWN)]
    halves = []
    for side, part in parts.items():
        largest = keep_largest(part.astype(np.uint8)) > 0
        halves.append(_Bone(largest, side, _points_mm(largest, geometry, box)))
    return halves if _beside(*halves) else [whole]


def _points_mm(voxels: NDArray[np.bool_], geometry: Geometry, box: Box) -> NDArray[np.float64]:
    places = np.flatnonzero(voxels)
    places = places[:: 1 + len(places) // _POINTS]
    index_zyx = np.stack(np.unravel_index(places, voxels.shape), axis=-1) + [part.start for part in box]
    return np.asarray(index_zyx[:, ::-1] @ geometry.steps_mm.T + geometry.origin_mm_xyz)


def _beside(one: _Bone, other: _Bone) -> bool:
    """Return True if two bones are beside each other, and not one below the other as the parts of a broken femur."""
    centred = one.points_mm - one.points_mm.mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    apart = other.points_mm.mean(axis=0) - one.points_mm.mean(axis=0)
    return bool(np.linalg.norm(apart - (apart @ axis) * axis) >= _BESIDE_MM)


def _sides(bones: Sequence[_Bone], measured: Sequence[FemurMeasurements], by_id: str) -> list[tuple[str, str]]:
    """Return the side of each femur and its origin."""
    told = [
        (bone.by_network, NETWORK) if bone.by_network != UNKNOWN else (femur.side, femur.side_source)
        for bone, femur in zip(bones, measured, strict=True)
    ]
    by_shape = [side for side, source in told if source == SHAPE]
    if len(by_shape) > len(set(by_shape)):
        # Two femurs of one side: one of them must be mirrored, and it is unknown which.
        return [(UNKNOWN, "") if source == SHAPE else (side, source) for side, source in told]
    unknown = [index for index, (side, _) in enumerate(told) if side == UNKNOWN]
    if len(told) == 1 and unknown and by_id in (LEFT, RIGHT):
        return [(by_id, ID)]
    if len(told) != 2 or not unknown or not _beside(*bones):
        return told
    if len(unknown) == 1:
        known = told[1 - unknown[0]][0]
        told[unknown[0]] = (RIGHT if known == LEFT else LEFT, OTHER_BONE)
        return told
    to_left_mm = bones[0].points_mm[:, 0].mean() - bones[1].points_mm[:, 0].mean()
    # A header that is known to be wrong does not determine the position.
    if abs(to_left_mm) < _BESIDE_MM or check_sides(measured, ""):
        return told
    first, second = (LEFT, RIGHT) if to_left_mm > 0 else (RIGHT, LEFT)
    return [(first, POSITION), (second, POSITION)]


def _values(
    inside: NDArray[np.bool_], bones: Sequence[_Bone], values: Sequence[int], geometry: Geometry, box: Box
) -> NDArray[np.uint8]:
    """Return the value of each bone in its voxels, and that of the nearest bone in the rest of the mask."""
    if len(set(values)) == 1:
        return inside * np.uint8(values[0])
    from scipy.spatial import cKDTree

    filled = np.zeros(inside.shape, np.uint8)
    for bone, value in zip(bones, values, strict=True):
        filled[bone.voxels_zyx] = value
    rest = inside & (filled == 0)
    if rest.any():
        tree = cKDTree(np.concatenate([bone.points_mm for bone in bones]))
        owner = np.repeat(values, [len(bone.points_mm) for bone in bones]).astype(np.uint8)
        index_zyx = np.argwhere(rest) + [part.start for part in box]
        points_mm = index_zyx[:, ::-1] @ geometry.steps_mm.T + geometry.origin_mm_xyz
        filled[rest] = owner[tree.query(points_mm)[1]]
    return filled
