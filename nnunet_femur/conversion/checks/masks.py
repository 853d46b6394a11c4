"""Check the femur of a mask: its labels, its shape, and what of the CT it covers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.kinds import Checks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry
    from nnunet_femur.imaging.grids import Femur
    from nnunet_femur.imaging.padding import Padding

MASK_CHECKS = Checks()
"""Checks of a femur on its CT's grid."""

TINY_ML = 10.0
"""A mask below this is no useful part of a femur: a femoral head alone has 30 ml and more."""

LARGEST_ML = 1000.0
"""Whole femurs of adults have 340 to 760 ml."""

LENGTHS_MM = (30.0, 600.0)
"""Least and largest length of a part of a femur; the longest whole ones are a little above 500 mm."""

BONE_HU = 100
_LEAST_BONE = 0.1
"""Part of a femur's voxels that are above BONE_HU at least; it is a third and more even where bones are thin."""

BODY_HU = -300
"""The body is above this; air is below."""

_MIRRORED, _MIRRORED_CHANCE = 1.3, 20
"""A mask in its place covers 1.6 times as much bone as any mirror image of it."""

_TRIED = 400_000
"""Voxels of a femur's box that are enough to try its mirror images."""

_BOTH_LEGS_MM = 280.0
_ASIDE_MM = 50.0
"""A body of this width or more in the CT shows both legs, and a femur is this far or more from its middle."""

_OUTSIDE = 0.01
_IN_PADDING = 0.001
_POINTS = 50_000
"""Voxels that are enough to measure a length."""


@dataclass(frozen=True)
class MaskFacts:
    """A femur on its CT.

    Attributes:
        femur: Its voxels and their place.
        hu_zyx: The CT in the femur's box, in HU, padding still in it.
        image: The CT's geometry.
        padding: The CT's padding in that box.
        side: The side that the case has by its id or table: "left", "right", "both" or "unknown".
        body: The body in the CT; None where the side does not matter.
        whole_zyx: The whole CT, to try the mask in other places of it; None leaves that out.
    """

    femur: Femur
    hu_zyx: NDArray[np.int16]
    image: Geometry
    padding: Padding
    side: str = "unknown"
    body: Body | None = None
    whole_zyx: NDArray[np.int16] | None = None

    @cached_property
    def values(self) -> NDArray[np.int16]:
        """The CT's values in the femur."""
        return self.hu_zyx[self.femur.voxels_zyx]

    @property
    def volume_ml(self) -> float:
        """Volume of the femur in millilitres."""
        return len(self.values) * self.image.voxel_volume_ml

    @cached_property
    def length_mm(self) -> float:
        """Extent along the axis of its largest extent in millimetres, to a few voxels."""
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
    def pieces(self) -> list[int]:
        """Voxels of each connected piece (also over corners), the largest first."""
        import scipy.ndimage

        # Pieces that touch with their faces are found in half the time, and usually there is one.
        labels, count = scipy.ndimage.label(self.femur.voxels_zyx)
        if count <= 1:
            return [len(self.values)] * count
        labels, _ = scipy.ndimage.label(self.femur.voxels_zyx, np.ones((3, 3, 3)))
        return sorted(np.bincount(labels.ravel())[1:].tolist(), reverse=True)


@MASK_CHECKS.register("empty-mask")
def _empty(mask: MaskFacts) -> str | None:
    if mask.femur.voxels_zyx.size or mask.femur.outside:
        return None
    return "is empty: no voxel is femur, so the CT would count as one without a femur."


@MASK_CHECKS.register("mask-outside")
def _outside(mask: MaskFacts) -> str | None:
    if mask.femur.outside <= _OUTSIDE:
        return None
    return f"has {mask.femur.outside:.0%} of its femur beyond the end of its CT."


@MASK_CHECKS.register("mask-border")
def _border(mask: MaskFacts) -> str | None:
    sides = []
    for axis, here in enumerate(mask.femur.slices[::-1]):
        if here.start == here.stop:
            return None
        if here.start == 0:
            sides.append(_side(mask.image, axis, -1))
        if here.stop == mask.image.size_xyz[axis]:
            sides.append(_side(mask.image, axis, 1))
    return f"reaches the border of its CT ({', '.join(sides)}); the femur may be cut there." if sides else None


def _side(image: Geometry, axis: int, sign: int) -> str:
    """What the patient calls the side of a volume where an axis begins (-1) or ends (1)."""
    column = np.reshape(image.direction, (3, 3))[:, axis] * sign
    nearest = int(np.argmax(np.abs(column)))
    return (("right", "left"), ("anterior", "posterior"), ("inferior", "superior"))[nearest][int(column[nearest] > 0)]


@MASK_CHECKS.register("mask-padding")
def _in_padding(mask: MaskFacts) -> str | None:
    covered = mask.padding.within(mask.hu_zyx, mask.femur.voxels_zyx)
    if covered <= _IN_PADDING * len(mask.values):
        return None
    return f"covers padding of its CT in {covered} voxels, {covered / len(mask.values):.1%} of the femur."


@MASK_CHECKS.register("mask-off-bone")
def _off_bone(mask: MaskFacts) -> str | None:
    if not len(mask.values):
        return None
    bone = int(np.count_nonzero(mask.values > BONE_HU)) / len(mask.values)
    if bone >= _LEAST_BONE:
        return None
    return f"covers bone in {bone:.0%} of its voxels only (above {BONE_HU} HU)."


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
    # The second condition leaves out what chance does in a few voxels.
    if best < _MIRRORED * here + 0.1 or (best - here) ** 2 * count < _MIRRORED_CHANCE:
        return None
    ways = " and ".join(_way(mask.image, 2 - axis) for axis in best_axes)
    return f"covers bone in {here:.0%} of its voxels, and in {best:.0%} if {ways} of it were exchanged."


def _way(image: Geometry, axis: int) -> str:
    return " with ".join(_side(image, axis, sign) for sign in (-1, 1))


@MASK_CHECKS.register("mask-side")
def _on_side(mask: MaskFacts) -> str | None:
    if mask.body is None or mask.side not in ("left", "right") or mask.body.width_mm < _BOTH_LEGS_MM:
        return None
    if not len(mask.values):
        return None
    index_xyz = [(here.start + here.stop - 1) / 2 for here in mask.femur.slices[::-1]]
    to_left_mm = _along_left_mm(mask.image, np.array([index_xyz]))[0] - mask.body.middle_mm
    found = "left" if to_left_mm > 0 else "right"
    if found == mask.side or abs(to_left_mm) < _ASIDE_MM:
        return None
    return f"is {abs(to_left_mm):.0f} mm to the {found} of the middle of the body, but is called {mask.side}."


@dataclass(frozen=True)
class Body:
    """Extent of the body in a CT, from the patient's right to the left.

    Attributes:
        middle_mm: Its middle, in LPS millimetres.
        width_mm: Its width, without the outermost hundredth at both sides.
    """

    middle_mm: float
    width_mm: float

    @classmethod
    def of(cls, hu_zyx: NDArray[np.int16], image: Geometry) -> Body:
        """Measure the body in a CT, in a part of its voxels.

        Args:
            hu_zyx: The CT.
            image: Its geometry.
        """
        step = max(1, round((hu_zyx.size / _POINTS) ** (1 / 3)))
        index_zyx = np.argwhere(hu_zyx[::step, ::step, ::step] > BODY_HU) * step
        if len(index_zyx) < 2:
            return cls(0.0, 0.0)
        left_mm = _along_left_mm(image, index_zyx[:, ::-1])
        low, high = np.percentile(left_mm, (1, 99))
        return cls(float(left_mm.mean()), float(high - low))


def _along_left_mm(image: Geometry, index_xyz: NDArray) -> NDArray[np.float64]:
    """Return how far points are to the patient's left, in LPS millimetres."""
    row = np.reshape(image.direction, (3, 3))[0] * image.spacing_mm_xyz
    left_mm: NDArray[np.float64] = index_xyz @ row + image.origin_mm_xyz[0]
    return left_mm


@MASK_CHECKS.register("mask-components")
def _components(mask: MaskFacts) -> str | None:
    if len(mask.pieces) < 2:
        return None
    rest_ml = sum(mask.pieces[1:]) * mask.image.voxel_volume_ml
    return f"is in {len(mask.pieces)} pieces; all but the largest have {rest_ml:.2f} of {mask.volume_ml:.1f} ml."


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
