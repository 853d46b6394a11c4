"""The procedural leg of :mod:`nnunet_femur.testing`: HU of its tissues, and the signed distance to its femur.

Coordinates are in the frame of the leg, in mm: x increases medially, y posteriorly, and z upwards from the lowest point
of the condyles. Left and right legs are the same in this frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.testing.shapes import (
    FAR_MM,
    Points,
    Tube,
    Waves,
    along,
    bounding_box_mm,
    implicit_distance,
    smooth_min,
    union,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nnunet_femur.testing.shapes import Part


@dataclass(frozen=True)
class AdjacentBones:
    """Bones at a joint of the femur.

    Attributes:
        parts: Their shapes, before the gap of the joint is cut out.
        gap_mm: Smallest distance from the femur in mm.
        cortex_mm: Thickness of their cortex in mm.
    """

    parts: list[Part]
    gap_mm: float
    cortex_mm: float


@dataclass(frozen=True)
class Leg:
    """One leg: the femur, the adjacent bones and the soft tissue.

    Attributes:
        length_mm: Length of the femur along z in mm.
        head_mm: Centre of the femoral head (x, y, z) in mm.
        head_radius_mm: Radius of the femoral head in mm.
        neck_axis: Unit vector along the axis of the neck, towards the head.
        shaft: The shaft; its centre line is the shaft axis.
        parts: Shapes whose union is the femur.
        notch: The intercondylar notch, cut out of them.
        adjacent: Bones of the pelvis and of the knee.
        limb: Surface of the skin.
        muscles: Sites of the muscles: (muscle, knot, x or y) in units of the limb's half axes.
        fat_mm: Thickness of the subcutaneous fat in mm.
        cortex_scale: Factor on the femur's cortical thickness.
        density: Factor on the HU of trabecular bone.
        bumps: Deviation of the femur's surface.
        texture: Inhomogeneity of all tissues.
    """

    length_mm: float
    head_mm: np.ndarray
    head_radius_mm: float
    neck_axis: np.ndarray
    shaft: Tube
    parts: list[Part]
    notch: Part
    adjacent: tuple[AdjacentBones, ...]
    limb: Tube
    muscles: np.ndarray
    fat_mm: float
    cortex_scale: float
    density: float
    bumps: Waves
    texture: Waves

    @cached_property
    def box(self) -> np.ndarray:
        """Bounding box of the femur in mm, ((x, y, z) low, (x, y, z) high)."""
        return bounding_box_mm(self.parts)

    def tissues(self, at: Points, voxel_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """Return HU without blur and noise, and the signed distance to the femur in mm.

        Args:
            at: Voxel centres.
            voxel_mm: Width of the transition between two tissues in mm (partial volume effect).

        Returns:
            Two arrays (z, y, x); the distance is negative inside the femur.
        """
        femur = np.full(at.shape, FAR_MM, np.float32)
        window = at.near(self.box)
        if window:
            femur[window] = self.femur_distance(at[window])
        texture = self.texture.at(at)
        hu = self._soft_tissue(at, femur, texture, voxel_mm)
        for bones in self.adjacent:
            near = at.near(bounding_box_mm(bones.parts))
            if near:
                surface = np.maximum(union(bones.parts, at[near]), np.float32(bones.gap_mm) - femur[near])
                spongy = 230 + 60 * texture[near]
                _draw_bone(hu[near], surface, surface + np.float32(bones.cortex_mm), spongy, 1050, voxel_mm)
        if window:
            self._femur_hu(hu[window], at[window], femur[window], texture[window], voxel_mm)
        return hu, femur

    def femur_distance(self, at: Points) -> np.ndarray:
        """Return the signed distance to the femur's surface in mm, correct within 10 mm of it."""
        distance = union(self.parts, at)
        window = at.near(self.notch.box)
        if window:
            cut = self.notch.distance(at[window])
            distance[window] = -smooth_min(-distance[window], cut, self.notch.blend_mm)
        return distance + np.float32(0.35) * self.bumps.at(at)

    def _soft_tissue(self, at: Points, femur: np.ndarray, texture: np.ndarray, voxel_mm: float) -> np.ndarray:
        """Return HU of skin, fat, muscles, joint capsules and the air around the leg."""
        scaled, radii = self.limb.scaled(at)
        skin = implicit_distance(scaled, radii)
        height = at.z / self.length_mm
        fascia = skin + np.float32(self.fat_mm)
        muscle = _fraction_inside(fascia, voxel_mm) * self._muscle(scaled, height, voxel_mm)
        muscle *= along(height, [-0.1, 0.0, 0.12, 0.25], [0.8, 0.5, 0.5, 1])  # More fat around the knee.
        hu = -100 + 5 * texture + muscle * (155 + 4 * texture)
        capsule = np.clip(1.5 - femur / 4, 0, 1) * along(height, [0.03, 0.12, 0.87, 0.92], [1, 0, 0, 1])
        hu += (70 - hu) * capsule
        hu += (30 - hu) * _fraction_inside(-2 - skin, voxel_mm)
        hu += (-1000 - hu) * _fraction_inside(-skin, voxel_mm)
        return hu

    def _muscle(self, scaled: Sequence[np.ndarray], height: np.ndarray, voxel_mm: float) -> np.ndarray:
        """Return 1 in a muscle and 0 in the fat between muscles, which are the cells around sites that vary along z."""
        knots = np.linspace(-0.2, 1.2, self.muscles.shape[1])
        nearest = second = np.full((), np.inf, np.float32)
        for site in self.muscles:
            x, y = (along(height, knots, values) for values in site.T)
            # The squared distance to the site, less the square that all sites have in common.
            square = x * x + y * y - 2 * (scaled[0] * x + scaled[1] * y)
            second = np.minimum(second, np.maximum(nearest, square))
            nearest = np.minimum(nearest, square)
        usual_site_distance, usual_radius_mm = 0.6, 75
        wall_mm = (second - nearest) * np.float32(usual_radius_mm / (2 * usual_site_distance))
        return _fraction_inside(1 - wall_mm, voxel_mm)

    def _femur_hu(self, hu: np.ndarray, at: Points, distance: np.ndarray, texture: np.ndarray, voxel_mm: float) -> None:
        """Draw the femur over `hu`, in place."""
        height = at.z / self.length_mm
        thickness = along(
            height,
            [0, 0.08, 0.15, 0.25, 0.35, 0.5, 0.65, 0.75, 0.83, 0.89, 1],
            [1.2, 1.3, 2.0, 4.2, 5.8, 6.8, 6.4, 5.2, 3.4, 1.7, 1.2],
        )
        compact = along(
            height, [0, 0.08, 0.18, 0.28, 0.65, 0.78, 0.87, 1], [800, 850, 1300, 1550, 1600, 1400, 950, 800]
        )
        spongy = along(
            height,
            [0, 0.05, 0.1, 0.15, 0.2, 0.26, 0.72, 0.8, 0.88, 1],
            [330, 310, 220, 110, 20, -25, -25, 30, 120, 140],
        )
        squares = sum(
            np.square(axis - np.float32(centre)) for axis, centre in zip((at.x, at.y, at.z), self.head_mm, strict=True)
        )
        in_head = np.clip((1.2 - np.sqrt(squares) / self.head_radius_mm) / 0.4, 0, 1)
        inside = spongy + in_head * (300 - spongy)
        # Trabecular bone is denser near the surface of the ends.
        inside += along(height, [0.12, 0.22, 0.75, 0.85], [120, 0, 0, 120]) * np.clip(1 + distance / 10, 0, 1)
        inside *= np.where(inside > 0, np.float32(self.density), 1)
        inside += texture * (12 + np.clip(inside, 0, 300) / 6)
        core = distance + thickness * np.float32(self.cortex_scale)
        _draw_bone(hu, distance, core, inside, compact + 30 * texture, voxel_mm)


def _fraction_inside(distance: np.ndarray, voxel_mm: float) -> np.ndarray:
    """Return the fraction of a voxel on the inner side of a surface."""
    return np.clip(0.5 - distance / np.float32(voxel_mm), 0, 1)


def _draw_bone(
    hu: np.ndarray,
    surface: np.ndarray,
    core: np.ndarray,
    inside: np.ndarray,
    shell: np.ndarray | int,
    voxel_mm: float,
) -> None:
    """Draw a bone over `hu`, in place: `shell` from its surface to its core, `inside` within the core."""
    outer, inner = _fraction_inside(surface, voxel_mm), _fraction_inside(core, voxel_mm)
    hu *= 1 - outer
    hu += inside * inner + shell * (outer - inner)
