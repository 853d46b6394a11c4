"""Random anatomy of a leg: proximal and distal femur, pelvis, knee, skin and muscles.

Coordinates are those of :mod:`nnunet_femur.testing.leg`, in mm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.testing.leg import AdjacentBones, Leg
from nnunet_femur.testing.shapes import Cone, Ellipsoid, Tube, Waves

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from nnunet_femur.testing.shapes import Part


def draw_leg(rng: np.random.Generator) -> Leg:
    """Draw a random leg; its proportions are those of the femora of 50 adults."""
    length = rng.uniform(400, 462)
    girth = length / 440 * rng.uniform(0.95, 1.05)
    bow = rng.uniform(12, 20)
    lean = np.deg2rad(rng.uniform(5, 8))

    def axis(height: ArrayLike) -> np.ndarray:
        """Return the centre line of the shaft (x, y) in mm at heights in units of the length."""
        share = np.asarray(height)
        return np.stack([-np.tan(lean) * length * share, bow * ((share - 0.5) / 0.4) ** 2], -1)

    head, radius, neck_axis, top = _proximal(rng, length, girth, lean, axis)
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
        neck_axis=neck_axis,
        shaft=shaft,
        parts=[shaft, *top, *distal],
        notch=notch,
        adjacent=(_pelvis(rng, head, radius), _knee(rng, girth, knee)),
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
) -> tuple[np.ndarray, float, np.ndarray, list[Part]]:
    """Return centre and radius of the femoral head in mm, the neck's axis, and the parts of the proximal end."""
    radius = float(np.clip(24 * girth * rng.uniform(0.94, 1.06), 21, 27))
    neck_angle, anteversion = np.deg2rad([rng.uniform(120, 133), rng.uniform(5, 25)])
    sideways, upwards = np.sin(neck_angle + lean), -np.cos(neck_angle + lean)
    direction = np.array([sideways * np.cos(anteversion), -sideways * np.sin(anteversion), upwards])
    neck = 57 * girth * rng.uniform(0.93, 1.07)
    base_height = length - radius - neck * upwards
    base = np.array([*axis(base_height / length), base_height])
    head = base + neck * direction

    def beside(share: float, medial: float, posterior: float) -> np.ndarray:
        """Return a point (x, y, z) beside the centre line."""
        return np.array([*(axis(share) + np.array([medial, posterior]) * girth), share * length])

    tip_below_head = rng.uniform(14, 22)
    trochanter_height = 27 * girth
    greater = beside(1 - (tip_below_head + trochanter_height) / length, -8, -4)
    lesser = beside(rng.uniform(0.815, 0.83), 17, 9)
    return (
        head,
        radius,
        direction,
        [
            Cone(np.stack([base, head - 0.3 * radius * direction]), (18.5 * girth, 0.63 * radius), 12),
            Ellipsoid(head, np.full(3, radius), 5),
            Ellipsoid(greater, np.array([16.5 * girth, 19 * girth, trochanter_height]), 9),
            Ellipsoid(lesser, np.array([10.5, 9.5, 15]) * girth, 9),
        ],
    )


def _distal(rng: np.random.Generator, girth: float, knee: np.ndarray) -> tuple[list[Part], Part]:
    """Return the parts of the distal end around the shaft's (x, y), and the notch between the condyles."""

    def at(medial: float, posterior: float, height: float) -> np.ndarray:
        """Return a point (x, y, z) at a distance from the knee."""
        return np.array([*knee, 0]) + np.array([medial, posterior, height]) * girth

    def blob(centre: np.ndarray, radii: tuple[float, float, float], blend_mm: float) -> Ellipsoid:
        """Return an ellipsoid in the size of this leg."""
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


def _pelvis(rng: np.random.Generator, head: np.ndarray, radius: float) -> AdjacentBones:
    """Return the acetabulum with the roots of ilium, ischium and pubis; the gap of the joint cuts out the socket."""
    gap = rng.uniform(2.5, 4)

    def at(medial: float, posterior: float, up: float) -> np.ndarray:
        """Return a point (x, y, z) at a distance from the head, in units of its radius."""
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
    return AdjacentBones(parts, gap, rng.uniform(1.4, 2.0))


def _knee(rng: np.random.Generator, girth: float, knee: np.ndarray) -> AdjacentBones:
    """Return tibia, fibula and patella around the shaft's (x, y) at the knee."""
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
    return AdjacentBones(parts, gap, 1.6)


def _limb(rng: np.random.Generator, length: float, axis: Callable[[ArrayLike], np.ndarray]) -> Tube:
    """Return the surface of the skin."""
    heights = np.array([-0.4, 0, 0.15, 0.35, 0.6, 0.78, 0.86, 0.93, 1.4])
    medial, posterior = [0, 0, 2, 7, 13, 18, 32, 56, 75], [22, 17, 11, 8, 10, 10, 6, 2, -6]
    half_x = np.array([50, 60, 62, 71, 80, 84, 96, 118, 135])
    half_y = np.array([50, 60, 63, 71, 79, 86, 91, 95, 100])
    inside = np.clip(heights, 0, 1)
    centre = axis(inside) * [1, 0] + np.stack([medial, posterior], -1)
    return Tube(heights * length, centre, np.stack([half_x, half_y], -1) * length / 440 * rng.uniform(0.94, 1.06))


def _muscle_sites(rng: np.random.Generator) -> np.ndarray:
    """Return the sites of the muscles at seven heights: (muscle, height, x or y) in units of the limb's half axes."""
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
