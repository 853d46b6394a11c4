"""The procedural leg of :mod:`nnunet_femur.testing`: its bones and soft tissue, and their HU.

Everything lies in the leg's own frame, in mm: x grows medially, y posteriorly, z upwards from the lowest point of the
condyles. Left and right legs are the same here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.testing.shapes import (
    FAR_MM,
    Cone,
    Ellipsoid,
    Points,
    Tube,
    Waves,
    along,
    box_of,
    implicit_distance,
    smooth_min,
    union,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    from nnunet_femur.testing.shapes import Part


@dataclass(frozen=True)
class Neighbours:
    """Bones beside a joint of the femur.

    Attributes:
        parts: Their shapes before the joint's gap is cut out of them.
        gap_mm: Smallest distance from the femur in mm.
        cortex_mm: Thickness of their cortex in mm.
    """

    parts: list[Part]
    gap_mm: float
    cortex_mm: float


@dataclass(frozen=True)
class Leg:
    """One drawn leg: the femur, its neighbours and the soft tissue.

    Attributes:
        length_mm: Length of the femur along z.
        head_mm: Centre of the femoral head (x, y, z).
        head_radius_mm: Radius of the femoral head.
        parts: Shapes whose union is the femur.
        notch: The intercondylar notch, cut out of them.
        neighbours: Pelvis and knee.
        limb: The skin's surface.
        muscles: Sites of the muscles: (muscle, knot, x or y) in units of the limb's half axes.
        fat_mm: Thickness of the subcutaneous fat.
        cortex_scale: Factor on the femur's cortical thickness.
        density: Factor on the HU of trabecular bone.
        bumps: Deviation of the femur's surface.
        texture: Inhomogeneity of all tissues.
    """

    length_mm: float
    head_mm: np.ndarray
    head_radius_mm: float
    parts: list[Part]
    notch: Part
    neighbours: tuple[Neighbours, ...]
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
        return box_of(self.parts)

    def tissues(self, at: Points, voxel_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """HU without blur and noise, and the femur's signed distance in mm.

        Args:
            at: Voxel centres.
            voxel_mm: Width over which an edge goes from one tissue to the next (partial volume).
        """
        femur = np.full(at.shape, FAR_MM, np.float32)
        window = at.near(self.box)
        if window:
            femur[window] = self.femur_distance(at[window])
        texture = self.texture.at(at)
        hu = self._soft_tissue(at, femur, texture, voxel_mm)
        for bones in self.neighbours:
            near = at.near(box_of(bones.parts))
            if near:
                surface = np.maximum(union(bones.parts, at[near]), np.float32(bones.gap_mm) - femur[near])
                spongy = 230 + 60 * texture[near]
                _fill(hu[near], surface, surface + np.float32(bones.cortex_mm), spongy, 1050, voxel_mm)
        if window:
            self._femur_hu(hu[window], at[window], femur[window], texture[window], voxel_mm)
        return hu, femur

    def femur_distance(self, at: Points) -> np.ndarray:
        """Signed distance to the femur's surface in mm, right within a centimetre of it."""
        distance = union(self.parts, at)
        window = at.near(self.notch.box)
        if window:
            cut = self.notch.distance(at[window])
            distance[window] = -smooth_min(-distance[window], cut, self.notch.blend_mm)
        return distance + np.float32(0.35) * self.bumps.at(at)

    def _soft_tissue(self, at: Points, femur: np.ndarray, texture: np.ndarray, voxel_mm: float) -> np.ndarray:
        scaled, radii = self.limb.scaled(at)
        skin = implicit_distance(scaled, radii)
        height = at.z / self.length_mm
        fascia = skin + np.float32(self.fat_mm)
        meat = _cover(fascia, voxel_mm) * self._muscle(scaled, height, voxel_mm)
        meat *= along(height, [-0.1, 0.0, 0.12, 0.25], [0.8, 0.5, 0.5, 1])  # Around the knee there is more fat.
        hu = -100 + 5 * texture + meat * (155 + 4 * texture)
        capsule = np.clip(1.5 - femur / 4, 0, 1) * along(height, [0.03, 0.12, 0.87, 0.92], [1, 0, 0, 1])
        hu += (70 - hu) * capsule
        hu += (30 - hu) * _cover(-2 - skin, voxel_mm)
        hu += (-1000 - hu) * _cover(-skin, voxel_mm)
        return hu

    def _muscle(self, scaled: Sequence[np.ndarray], height: np.ndarray, voxel_mm: float) -> np.ndarray:
        """1 in a muscle, 0 in the fat between two: the cells around sites that drift along the leg."""
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
        return _cover(1 - wall_mm, voxel_mm)

    def _femur_hu(self, hu: np.ndarray, at: Points, distance: np.ndarray, texture: np.ndarray, voxel_mm: float) -> None:
        """Lay the femur over `hu`, in place."""
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
        # Towards the surface of the ends the struts stand closer.
        inside += along(height, [0.12, 0.22, 0.75, 0.85], [120, 0, 0, 120]) * np.clip(1 + distance / 10, 0, 1)
        inside *= np.where(inside > 0, np.float32(self.density), 1)
        inside += texture * (12 + np.clip(inside, 0, 300) / 6)
        core = distance + thickness * np.float32(self.cortex_scale)
        _fill(hu, distance, core, inside, compact + 30 * texture, voxel_mm)


def _cover(distance: np.ndarray, voxel_mm: float) -> np.ndarray:
    """Share of a voxel on the inner side of a surface."""
    return np.clip(0.5 - distance / np.float32(voxel_mm), 0, 1)


def _fill(
    hu: np.ndarray,
    surface: np.ndarray,
    core: np.ndarray,
    inside: np.ndarray,
    shell: np.ndarray | int,
    voxel_mm: float,
) -> None:
    """Lay a bone over `hu`, in place: `shell` from its surface to its core, `inside` within the core."""
    outer, inner = _cover(surface, voxel_mm), _cover(core, voxel_mm)
    hu *= 1 - outer
    hu += inside * inner + shell * (outer - inner)


def draw_leg(rng: np.random.Generator) -> Leg:
    """Draw a leg; its proportions follow the femora of 50 adults."""
    length = rng.uniform(400, 462)
    girth = length / 440 * rng.uniform(0.95, 1.05)
    bow = rng.uniform(12, 20)
    lean = np.deg2rad(rng.uniform(5, 8))

    def axis(height: ArrayLike) -> np.ndarray:
        """Centre line of the shaft (x, y) at heights in units of the length."""
        share = np.asarray(height)
        return np.stack([-np.tan(lean) * length * share, bow * ((share - 0.5) / 0.4) ** 2], -1)

    head, radius, top = _proximal(rng, length, girth, lean, axis)
    knee = axis(0.1) * [0, 1]
    distal, notch = _distal(rng, girth, knee)
    heights = np.array([0.07, 0.12, 0.15, 0.19, 0.25, 0.35, 0.5, 0.7, 0.78, 0.85, 0.92])
    half_x = np.array([36, 33, 27, 21.5, 17.5, 15, 13.8, 14.5, 16, 19, 18])
    half_y = np.array([21, 22, 19, 16.5, 15.2, 14.5, 14.3, 14.8, 15.5, 16.5, 15])
    shaft = Tube(heights * length, axis(heights), np.stack([half_x, half_y], -1) * girth)
    return Leg(
        length_mm=length,
        head_mm=head,
        head_radius_mm=radius,
        parts=[shaft, *top, *distal],
        notch=notch,
        neighbours=(_pelvis(rng, head, radius), _knee(rng, girth, knee)),
        limb=_limb(rng, length, axis),
        muscles=_muscle_sites(rng),
        fat_mm=rng.uniform(7, 18),
        cortex_scale=rng.uniform(0.85, 1.15),
        density=rng.uniform(0.75, 1.2),
        bumps=Waves.draw(rng, 8, (60, 140)),
        texture=Waves.draw(rng, 24, (7, 45)),
    )


def _proximal(
    rng: np.random.Generator,
    length: float,
    girth: float,
    lean: float,
    axis: Callable[[ArrayLike], np.ndarray],
) -> tuple[np.ndarray, float, list[Part]]:
    """Centre and radius of the head, and the parts of the upper end."""
    radius = float(np.clip(24 * girth * rng.uniform(0.94, 1.06), 21, 27))
    neck_angle, anteversion = np.deg2rad([rng.uniform(120, 133), rng.uniform(5, 25)])
    sideways, upwards = np.sin(neck_angle + lean), -np.cos(neck_angle + lean)
    direction = np.array([sideways * np.cos(anteversion), -sideways * np.sin(anteversion), upwards])
    neck = 57 * girth * rng.uniform(0.93, 1.07)
    base_height = length - radius - neck * upwards
    base = np.array([*axis(base_height / length), base_height])
    head = base + neck * direction

    def beside(share: float, medial: float, posterior: float) -> np.ndarray:
        return np.array([*(axis(share) + np.array([medial, posterior]) * girth), share * length])

    tip_below_head = rng.uniform(14, 22)
    trochanter_height = 27 * girth
    greater = beside(1 - (tip_below_head + trochanter_height) / length, -8, -4)
    lesser = beside(rng.uniform(0.815, 0.83), 17, 9)
    return (
        head,
        radius,
        [
            Cone(np.stack([base, head - 0.3 * radius * direction]), (18.5 * girth, 0.63 * radius), 12),
            Ellipsoid(head, np.full(3, radius), 5),
            Ellipsoid(greater, np.array([16.5 * girth, 19 * girth, trochanter_height]), 9),
            Ellipsoid(lesser, np.array([10.5, 9.5, 15]) * girth, 9),
        ],
    )


def _distal(rng: np.random.Generator, girth: float, knee: np.ndarray) -> tuple[list[Part], Part]:
    """The parts of the lower end around the shaft's (x, y) there, and the notch between the condyles."""

    def at(medial: float, posterior: float, height: float) -> np.ndarray:
        return np.array([*knee, 0]) + np.array([medial, posterior, height]) * girth

    def blob(centre: np.ndarray, radii: tuple[float, float, float], blend_mm: float) -> Ellipsoid:
        return Ellipsoid(centre, np.array(radii) * girth, blend_mm)

    reach = rng.uniform(17, 20)
    parts: list[Part] = [blob(at(-3, -6, 33), (25, 13, 20), 8)]
    for side in (-1, 1):
        parts += [
            blob(at(side * 20, -2, 27), (18, 21, 26.5), 6),
            blob(at(side * 23, reach, 22), (16.5, 22, 22.2), 6),
            blob(at(side * 30, 4, 37), (12, 15, 16), 8),
        ]
    return parts, blob(at(0, 40, 6), (rng.uniform(7, 9), 33, 31), 5)


def _pelvis(rng: np.random.Generator, head: np.ndarray, radius: float) -> Neighbours:
    """Acetabulum with the roots of ilium, ischium and pubis; the head's cavity is what the joint's gap cuts out."""
    gap = rng.uniform(2.5, 4)

    def at(medial: float, posterior: float, up: float) -> np.ndarray:
        return head + radius * np.array([medial, posterior, up])

    pole = np.array([0.72, 0.15, 0.67])
    socket = radius + rng.uniform(4.5, 6.5)
    parts: list[Part] = [
        Ellipsoid(head + (gap + 7) * pole, np.full(3, socket)),
        Ellipsoid(at(0.5, 0.2, 2.6), np.array([9, 27, 2.0 * radius]), 10),
        Ellipsoid(at(0.7, 1.35, -1.2), np.array([11, 14, 1.5 * radius]), 10),
        Cone(np.stack([at(0.9, -0.5, 0), at(3.2, -1.1, -0.9)]), (9.5, 7), 10),
        Cone(np.stack([at(0.7, 1.2, -2.5), at(2.8, -0.8, -2.3)]), (7, 6), 9),
    ]
    return Neighbours(parts, gap, rng.uniform(1.4, 2.0))


def _knee(rng: np.random.Generator, girth: float, knee: np.ndarray) -> Neighbours:
    """Tibia, fibula and patella around the shaft's (x, y) at the knee."""
    gap = rng.uniform(3, 5)
    x, y = knee[0] + rng.normal(0, 1.5), knee[1] + 12 * girth
    heights = np.array([-140, -70, -45, -25, -8, 2])
    half_x, half_y = np.array([13, 17, 22, 30, 37, 36]), np.array([14, 17, 20, 23, 26, 25])
    plateau = Tube(heights, np.tile([x, y], (6, 1)), np.stack([half_x, half_y], -1) * girth)
    fibula = np.array([[x - 35 * girth, y + 16 * girth, -20], [x - 33 * girth, y + 14 * girth, -140]])
    patella = np.array([x + rng.normal(-2, 2), knee[1] - (32 * girth + gap), rng.uniform(30, 42)])
    parts: list[Part] = [
        plateau,
        Cone(fibula, (8.5, 6), 2),
        Ellipsoid(patella, np.array([22, 10.5, 21]) * girth, 2),
    ]
    return Neighbours(parts, gap, 1.6)


def _limb(rng: np.random.Generator, length: float, axis: Callable[[ArrayLike], np.ndarray]) -> Tube:
    heights = np.array([-0.4, 0, 0.15, 0.35, 0.6, 0.78, 0.86, 0.93, 1.4])
    medial, posterior = [0, 0, 2, 7, 13, 18, 32, 56, 75], [22, 17, 11, 8, 10, 10, 6, 2, -6]
    half_x = np.array([50, 60, 62, 71, 80, 84, 96, 118, 135])
    half_y = np.array([50, 60, 63, 71, 79, 86, 91, 95, 100])
    inside = np.clip(heights, 0, 1)
    centre = axis(inside) * [1, 0] + np.stack([medial, posterior], -1)
    return Tube(heights * length, centre, np.stack([half_x, half_y], -1) * length / 440 * rng.uniform(0.94, 1.06))


def _muscle_sites(rng: np.random.Generator) -> np.ndarray:
    """Sites of the muscles at seven heights: (muscle, height, x or y) in units of the limb's half axes."""
    degrees_from_medial_to_posterior_and_share_of_radius = np.array(
        [
            [-85, 0.75],  # rectus femoris
            [-35, 0.70],  # vastus medialis
            [-140, 0.72],  # vastus lateralis
            [-110, 0.28],  # vastus intermedius
            [-15, 0.95],  # sartorius
            [18, 0.85],  # gracilis
            [35, 0.40],  # adductors
            [62, 0.78],  # semimembranosus
            [95, 0.75],  # semitendinosus
            [128, 0.65],  # biceps femoris
            [170, 0.85],  # tensor and gluteus
        ]
    )
    angle, share = degrees_from_medial_to_posterior_and_share_of_radius.T
    angle = np.deg2rad(angle + rng.normal(0, 5, len(angle)))
    sites = np.stack([share * np.cos(angle), share * np.sin(angle)], -1)
    return sites[:, None] + rng.normal(0, 0.08, (len(sites), 7, 2))
