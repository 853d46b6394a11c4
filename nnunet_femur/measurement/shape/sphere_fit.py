"""Fit spheres to a part of a bone's surface that is not known beforehand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.landmarks import Sphere

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nnunet_femur.measurement.shape.mesh import BoneMesh

    Values = NDArray[np.float64]
    Weigh = Callable[[Sphere, Values, Values, Values], Values]

RADII_MM = (13.0, 36.0)
"""Radii of a femoral head that are looked for, in mm: far beyond those of adults."""

_DRAWS, _POINTS, _KEPT = 3000, 1200, 8
"""Spheres that are tried, each through four points of the surface; points that they are tried on; spheres returned."""

_NEIGHBOURHOOD_MM = 40.0
"""Largest distance of the four points from the first of them: points of one head are near each other."""

_TOLERANCE_MM, _LEAST_COSINE = 0.8, 0.9
"""Distance from a tried sphere, and cosine between normal and radius, of a point that agrees with it."""

_STEPS, _CONVERGED_MM = 100, 1e-4
_LEAST_TRIANGLES = 20


def find_spheres(mesh: BoneMesh, *, seed: int = 0, effort: float = 1.0) -> list[Sphere]:
    """Return the spheres that most of a surface agrees with, the best first (RANSAC).

    Spheres through four random points near each other are rated by the area whose distance from the sphere is below
    0.8 mm and whose normal is within 26 degrees of the radius.

    Args:
        mesh: The part of the surface to search.
        seed: Seed of the draws.
        effort: Number of draws and of returned spheres, relative to those of a measurement.
    """
    if len(mesh.triangles) < 50:
        return []
    rng = np.random.default_rng(seed)
    share = mesh.areas_mm2 / mesh.areas_mm2.sum()
    places = rng.choice(len(share), _POINTS, p=share)
    points, normals = mesh.centers_mm[places], mesh.normals[places]
    middle = points.mean(axis=0)
    points = points - middle
    drawn = points[_drawn(points, rng, round(effort * _DRAWS))]
    # A sphere through p with centre c and radius r: 2 p·c + (r² - c·c) = p·p.
    matrix = np.concatenate([2 * drawn, np.ones((len(drawn), 4, 1))], axis=2)
    usable = np.abs(np.linalg.det(matrix)) > 1.0
    solved = np.linalg.solve(matrix[usable], (drawn[usable] ** 2).sum(axis=2)[..., None])[..., 0]
    centers = solved[:, :3]
    squares = solved[:, 3] + (centers**2).sum(axis=1)
    possible = (squares > RADII_MM[0] ** 2) & (squares < RADII_MM[1] ** 2)
    centers, radii = centers[possible], np.sqrt(squares[possible])
    agreeing = np.zeros(len(radii))
    for place, (center, radius) in enumerate(zip(centers, radii, strict=True)):
        radial = points - center
        distance = np.sqrt(np.einsum("ij,ij->i", radial, radial))
        near = np.abs(distance - radius) < _TOLERANCE_MM
        agreeing[place] = (near & (np.einsum("ij,ij->i", radial, normals) > _LEAST_COSINE * distance)).sum()
    best = np.argsort(-agreeing, kind="stable")[: max(1, round(effort * _KEPT))]
    return [Sphere(centers[place] + middle, float(radii[place])) for place in best]


def _drawn(points: NDArray[np.float64], rng: np.random.Generator, draws: int) -> NDArray[np.int64]:
    """Return the indices of four points for each sphere, shape (n, 4): one, and three near it."""
    from scipy.spatial.distance import cdist

    near = cdist(points, points) < _NEIGHBOURHOOD_MM
    neighbours = np.argsort(~near, axis=1, kind="stable")
    counts = near.sum(axis=1)
    first = rng.integers(0, len(points), draws)
    others = (rng.random((draws, 3)) * counts[first][:, None]).astype(np.int64)
    return np.concatenate([first[:, None], neighbours[first[:, None], others]], axis=1)


def refine_sphere(mesh: BoneMesh, start: Sphere, weigh: Weigh) -> Sphere:
    """Return a sphere fitted by iterated weighted least squares to the triangles around a first sphere.

    Args:
        mesh: The surface.
        start: The first sphere.
        weigh: Function of a sphere, the distances of triangles from its centre in mm, shape (k,), the unit vectors
            towards them, shape (k, 3), and the cosines between these and the triangles' normals, shape (k,). It returns
            the share of each triangle's area that is fitted, 0 to 1; only triangles within twice the radius are fitted.

    Returns:
        The sphere, with its residual and the share of its area that was fitted; the residual is infinite if there are
        too few triangles. The iteration ends when centre and radius move by less than 0.0001 mm.
    """
    sphere = start
    near = mesh.near(start.center_mm, 2 * start.radius_mm)
    points, areas, normals = near.centers_mm, near.areas_mm2, near.normals
    for _ in range(_STEPS):
        radial = points - sphere.center_mm
        distance = np.sqrt(np.einsum("ij,ij->i", radial, radial))
        radial /= distance[:, None]
        weights = areas * weigh(sphere, distance, radial, np.einsum("ij,ij->i", radial, normals))
        used = weights > 0
        if used.sum() < _LEAST_TRIANGLES:
            return replace(sphere, rms_mm=np.inf, covered=0.0)
        # A step of Gauss and Newton for the distances from the sphere.
        jacobian = np.column_stack([radial[used], np.ones(int(used.sum()))])
        residual, kept = distance[used] - sphere.radius_mm, weights[used]
        weighted = jacobian.T * kept
        step = np.linalg.lstsq(weighted @ jacobian, weighted @ residual, rcond=None)[0]
        rms = float(np.sqrt(np.average(residual**2, weights=kept)))
        radius = sphere.radius_mm + float(step[3])
        sphere = Sphere(sphere.center_mm + step[:3], radius, rms, float(kept.sum() / (4 * np.pi * radius**2)))
        if float(np.abs(step).max()) < _CONVERGED_MM:
            break
    return sphere


def tapered(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Return weights that rise smoothly from 0 at one value to 1 at another.

    A step would make a fit jump when the voxels shift by a little.

    Args:
        values: The values.
        low: Largest value with the weight 0.
        high: Smallest value with the weight 1.

    Example:
        >>> tapered(np.array([0.0, 1.0, 1.5, 2.0, 9.0]), 1.0, 2.0).tolist()
        [0.0, 0.0, 0.5, 1.0, 1.0]
    """
    share = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(share * share * (3 - 2 * share))
