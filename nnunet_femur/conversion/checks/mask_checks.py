"""Check the femur of a mask: size, shape, position, side, and the values of the CT that it covers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.sides import LEFT, RIGHT, UNKNOWN, faces_of
from nnunet_femur.kinds import Checks, error_place
from nnunet_femur.measurement.femur_measurements import FemurMeasurements
from nnunet_femur.measurement.shape.coarse_anatomy import coarse_anatomy
from nnunet_femur.measurement.side_checks import check_sides

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry
    from nnunet_femur.imaging.grids import Femur
    from nnunet_femur.imaging.padding import Padding


MASK_CHECKS = Checks()
"""Checks of a femur on the grid of its CT."""

TINY_ML = 10.0
"""Masks below this volume are too small for a part of a femur: a femoral head alone has 30 ml or more."""

LARGEST_ML = 1000.0
"""Masks above this volume are too large: whole femurs of adults have 340 to 760 ml."""

LENGTHS_MM = (30.0, 600.0)
"""Smallest and largest length of a femur or a part of one; the longest whole femurs are a little above 500 mm."""

LENGTHS_OF_WHOLE_MM = (250.0, 600.0)
"""Lengths of masks that may contain a whole femur."""

BONE_HU = 100
"""Voxels above this count as bone."""

BODY_HU = -300
"""Voxels above this belong to the body; air is below."""

_POINTS = 50_000
"""Number of voxels that are sufficient to measure a length or a width."""


@dataclass(frozen=True)
class Body:
    """Extent of the body in a CT, from the right to the left of the patient.

    Attributes:
        middle_mm: Middle of the body, in LPS millimetres.
        width_mm: Width of the body, without the outermost 1 % at both sides.
    """

    middle_mm: float
    width_mm: float

    @classmethod
    def of(cls, hu_zyx: NDArray[np.int16], image: Geometry) -> Body:
        """Measure the body in a sample of the voxels of a CT.

        Args:
            hu_zyx: The CT, in HU.
            image: Geometry of the CT.
        """
        step = max(1, round((hu_zyx.size / _POINTS) ** (1 / 3)))
        index_zyx = np.argwhere(hu_zyx[::step, ::step, ::step] > BODY_HU) * step
        if len(index_zyx) < 2:
            return cls(0.0, 0.0)
        left_mm = _along_left_mm(image, index_zyx[:, ::-1])
        low, high = np.percentile(left_mm, (1, 99))
        return cls(float(left_mm.mean()), float(high - low))


@dataclass(frozen=True)
class MaskFacts:
    """A femur on its CT.

    Attributes:
        femur: Voxels of the femur and their position.
        hu_zyx: The CT in the box of the femur, in HU, including padding.
        image: Geometry of the CT.
        padding: Padding of the CT in that box.
        side: Side of the case by its id or table: "left", "right", "both" or "unknown".
        body: The body in the CT; None if the side is not checked.
        whole_zyx: The whole CT, to compare mirrored positions of the mask; None to skip this check.
    """

    femur: Femur
    hu_zyx: NDArray[np.int16]
    image: Geometry
    padding: Padding
    side: str = UNKNOWN
    body: Body | None = None
    whole_zyx: NDArray[np.int16] | None = None

    @cached_property
    def values(self) -> NDArray[np.int16]:
        """Values of the CT in the femur."""
        return self.hu_zyx[self.femur.voxels_zyx]

    @property
    def volume_ml(self) -> float:
        """Volume of the femur in millilitres."""
        return len(self.values) * self.image.voxel_volume_ml

    @cached_property
    def length_mm(self) -> float:
        """Length along the principal axis of the femur in millimetres, with an error of a few voxels."""
        step = max(1, round((len(self.values) / _POINTS) ** (1 / 3)))
        index_zyx = np.argwhere(self.femur.voxels_zyx[::step, ::step, ::step]) * step
        if len(index_zyx) < 2:
            return float(max(self.image.spacing_mm_xyz))
        points_mm = index_zyx * self.image.spacing_mm_xyz[::-1]
        points_mm = points_mm - points_mm.mean(axis=0)
        axis = np.linalg.eigh(points_mm.T @ points_mm)[1][:, -1]
        along = points_mm @ axis
        return float(along.max() - along.min() + np.abs(axis) @ (np.array(self.image.spacing_mm_xyz[::-1]) * step))

    @cached_property
    def side_problems(self) -> dict[str, str]:
        """Contradictions of the femur's shape to header and id, by code; none for a mask of a part or of two femurs.

        An unexpected error is the problem "shape-unchecked".
        """
        low, high = LENGTHS_OF_WHOLE_MM
        if not low <= self.length_mm <= high or self.volume_ml > LARGEST_ML:
            return {}
        # A bone that does not touch the border of its CT must not touch that of its box either.
        margins = [
            (int(here.start > 0), int(here.stop < length))
            for here, length in zip(self.femur.slices, self.image.shape_zyx, strict=True)
        ]
        mask_zyx = np.pad(self.femur.voxels_zyx, margins)
        try:
            anatomy = coarse_anatomy(mask_zyx, replace(self.image, size_xyz=mask_zyx.shape[::-1]))
        except Exception as error:  # noqa: BLE001 - a check that fails must not keep a case out of the dataset
            return {"shape-unchecked": f"could not be compared with header and id ({error_place(error)})."}
        femur = FemurMeasurements("", UNKNOWN, "", {}, {}, anatomy=anatomy)
        found = check_sides([femur], "", expected=self.side, expected_by="id or table")
        return {each.code: each.problem for each in found}

    @cached_property
    def pieces(self) -> list[int]:
        """Number of voxels of each connected component (26 neighbours), the largest first."""
        import scipy.ndimage

        # Labelling with 6 neighbours takes half the time, and usually finds a single component.
        labels, count = scipy.ndimage.label(self.femur.voxels_zyx)
        if count <= 1:
            return [len(self.values)] * count
        labels, _ = scipy.ndimage.label(self.femur.voxels_zyx, np.ones((3, 3, 3)))
        return sorted(np.bincount(labels.ravel())[1:].tolist(), reverse=True)


@MASK_CHECKS.register("empty-mask")
def _empty(mask: MaskFacts) -> str | None:
    if mask.femur.voxels_zyx.size or mask.femur.outside:
        return None
    return "is empty: no voxel is femur."


_OUTSIDE = 0.01
"""Largest part of the femur outside its CT that is not reported."""


@MASK_CHECKS.register("mask-outside")
def _outside(mask: MaskFacts) -> str | None:
    if mask.femur.outside <= _OUTSIDE:
        return None
    return f"has {mask.femur.outside:.0%} of its femur outside its CT."


@MASK_CHECKS.register("mask-border")
def _border(mask: MaskFacts) -> str | None:
    sides = []
    for axis, here in enumerate(mask.femur.slices[::-1]):
        if here.start == here.stop:
            return None
        if here.start == 0:
            sides.append(faces_of(mask.image, axis)[0])
        if here.stop == mask.image.size_xyz[axis]:
            sides.append(faces_of(mask.image, axis)[1])
    return f"touches the border of its CT ({', '.join(sides)}); the femur may be cut there." if sides else None


_IN_PADDING = 0.001
"""Largest part of the femur in padding that is not reported."""


@MASK_CHECKS.register("mask-padding")
def _in_padding(mask: MaskFacts) -> str | None:
    covered = mask.padding.within(mask.hu_zyx, mask.femur.voxels_zyx)
    if covered <= _IN_PADDING * len(mask.values):
        return None
    return f"covers padding of its CT in {covered} voxels, {covered / len(mask.values):.1%} of the femur."


_LEAST_BONE = 0.1
"""Smallest part of the voxels of a femur above BONE_HU; even thin bones have a third or more."""


@MASK_CHECKS.register("mask-off-bone")
def _off_bone(mask: MaskFacts) -> str | None:
    if not len(mask.values):
        return None
    bone = int(np.count_nonzero(mask.values > BONE_HU)) / len(mask.values)
    if bone >= _LEAST_BONE:
        return None
    return f"covers bone in only {bone:.0%} of its voxels (above {BONE_HU} HU)."


_MIRRORED, _MIRRORED_CHANCE = 1.3, 20
"""Least ratio of bone in a mirrored mask to bone in the mask itself, and least evidence against chance.

A mask in its correct position covers 1.6 times as much bone as any mirror image of it.
"""

_TRIED = 400_000
"""Number of voxels of the femur's box that are sufficient to compare mirror images."""


@MASK_CHECKS.register("mask-mirrored")
def _mirrored(mask: MaskFacts) -> str | None:
    if mask.whole_zyx is None or not len(mask.values):
        return None
    step = max(1, mask.femur.voxels_zyx.size // _TRIED)
    femur = mask.femur.voxels_zyx[::step]
    count = int(np.count_nonzero(femur))
    if not count:
        return None
    here, best = 0.0, 0.0
    best_axes: tuple[int, ...] = ()
    for axes in [axes for number in range(4) for axes in combinations(range(3), number)]:
        tried = np.flip(mask.whole_zyx, axes)[mask.femur.slices][::step]
        bone = np.count_nonzero(tried[femur] > BONE_HU) / count
        if not axes:
            here = bone
        elif bone > best:
            best, best_axes = bone, axes
    # The second condition excludes chance differences in a few voxels.
    if best < _MIRRORED * here + 0.1 or (best - here) ** 2 * count < _MIRRORED_CHANCE:
        return None
    exchanged = ", ".join(" and ".join(faces_of(mask.image, 2 - axis)) for axis in best_axes)
    return f"covers bone in {here:.0%} of its voxels, but in {best:.0%} with {exchanged} exchanged."


_BOTH_LEGS_MM = 280.0
"""Width of a body that shows both legs."""

_ASIDE_MM = 50.0
"""Least distance of a femur from the middle of such a body."""


@MASK_CHECKS.register("mask-side")
def _on_side(mask: MaskFacts) -> str | None:
    if mask.body is None or mask.side not in (LEFT, RIGHT) or mask.body.width_mm < _BOTH_LEGS_MM:
        return None
    if not len(mask.values):
        return None
    index_xyz = [(here.start + here.stop - 1) / 2 for here in mask.femur.slices[::-1]]
    to_left_mm = _along_left_mm(mask.image, np.array([index_xyz]))[0] - mask.body.middle_mm
    found = LEFT if to_left_mm > 0 else RIGHT
    if found == mask.side or abs(to_left_mm) < _ASIDE_MM:
        return None
    return f"is {abs(to_left_mm):.0f} mm to the {found} of the middle of the body, but the case is {mask.side}."


@MASK_CHECKS.register("side-contradiction")
def _other_side(mask: MaskFacts) -> str | None:
    return mask.side_problems.get("side-contradiction")


@MASK_CHECKS.register("upside-down")
def _upside_down(mask: MaskFacts) -> str | None:
    return mask.side_problems.get("upside-down")


@MASK_CHECKS.register("back-to-front")
def _back_to_front(mask: MaskFacts) -> str | None:
    return mask.side_problems.get("back-to-front")


@MASK_CHECKS.register("shape-unchecked")
def _unchecked_shape(mask: MaskFacts) -> str | None:
    return mask.side_problems.get("shape-unchecked")


@MASK_CHECKS.register("mask-components")
def _components(mask: MaskFacts) -> str | None:
    if len(mask.pieces) < 2:
        return None
    rest_ml = sum(mask.pieces[1:]) * mask.image.voxel_volume_ml
    return f"has {len(mask.pieces)} pieces; all except the largest have {rest_ml:.2f} of {mask.volume_ml:.1f} ml."


@MASK_CHECKS.register("mask-tiny")
def _tiny(mask: MaskFacts) -> str | None:
    if not len(mask.values) or mask.volume_ml >= TINY_ML:
        return None
    return f"has {mask.volume_ml:.3g} ml, less than {TINY_ML:g} ml."


@MASK_CHECKS.register("mask-volume")
def _volume(mask: MaskFacts) -> str | None:
    if mask.volume_ml <= LARGEST_ML:
        return None
    return f"has {mask.volume_ml:.0f} ml; whole femurs have less than {LARGEST_ML:g} ml."


@MASK_CHECKS.register("mask-length")
def _length(mask: MaskFacts) -> str | None:
    least, most = LENGTHS_MM
    if not len(mask.values) or least <= mask.length_mm <= most:
        return None
    return f"is {mask.length_mm:.0f} mm long; a femur or a part of one has {least:g} to {most:g} mm."


def _along_left_mm(image: Geometry, index_xyz: NDArray) -> NDArray[np.float64]:
    """Return the x coordinate of points in LPS millimetres, which increases to the left of the patient."""
    row = np.reshape(image.direction, (3, 3))[0] * image.spacing_mm_xyz
    left_mm: NDArray[np.float64] = index_xyz @ row + image.origin_mm_xyz[0]
    return left_mm
