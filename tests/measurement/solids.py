"""Meshes of simple solids for the tests of the engine: balls, tubes and rods, cut from fine grids."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.imaging.surface_mesh import isosurface
from nnunet_femur.measurement.shape.mesh import BoneMesh
from nnunet_femur.testing.analytic_femur import AnalyticFemur

if TYPE_CHECKING:
    from collections.abc import Callable

IDENTITY = (1.0, 0, 0, 0, 1, 0, 0, 0, 1)
FEMUR = AnalyticFemur()


def solid(
    distance: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    half_mm: tuple[float, float, float],
    step: float,
) -> BoneMesh:
    """Return the surface on which a function of x, y, z in mm is 0, negative inside, within a box around the origin."""
    x, y, z = (np.arange(-h - 2 * step, h + 3 * step, step) + step / 3 for h in half_mm)
    values = distance(x[None, None], y[None, :, None], z[:, None, None])
    corners, triangles = isosurface(np.asarray(0.5 - values, np.float32), np.full(3, step))
    return BoneMesh(corners + np.array([x[0], y[0], z[0]]), triangles)


@cache
def ball(radius_mm: float = 20.0, step: float = 1.0) -> BoneMesh:
    """Return a ball around the origin."""
    return solid(lambda x, y, z: np.sqrt(x**2 + y**2 + z**2) - radius_mm, (radius_mm,) * 3, step)


@cache
def rod(
    half_axes_mm: tuple[float, float] = (12.0, 9.0), half_length_mm: float = 100.0, *, hollow: float = 0.0
) -> BoneMesh:
    """Return an elliptical rod along z around the origin; `hollow` is the share of its half axes that is a cavity."""
    a, b = half_axes_mm

    def distance(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        radial = np.sqrt((x / a) ** 2 + (y / b) ** 2)
        wall = np.maximum((radial - 1) * b, np.abs(z) - half_length_mm)
        inside = np.maximum((radial - hollow) * b, np.abs(z) - half_length_mm / 2)
        return np.maximum(wall, -inside) if hollow else wall

    return solid(distance, (a, b, half_length_mm), 1.0)


@cache
def femur() -> BoneMesh:
    """Return the average analytic femur."""
    return BoneMesh.of_surface(FEMUR.surface(step_mm=2.0))


def grid_of(shape_zyx: tuple[int, ...], spacing_mm: float = 1.0) -> Geometry:
    """Return a grid at the origin."""
    return Geometry(tuple(shape_zyx[::-1]), (spacing_mm,) * 3, (0.0, 0.0, 0.0), IDENTITY)
