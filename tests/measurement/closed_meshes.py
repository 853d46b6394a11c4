"""Masks of known bodies, and an independent check that a mesh is the closed surface of one."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.imaging.surface_mesh import Surface

if TYPE_CHECKING:
    from collections.abc import Sequence

TURNED = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.3, -0.5, 0.4).GetMatrix()
MIRRORED = tuple(np.array(TURNED) * np.array([1, 1, -1] * 3))

TETRAHEDRON = Surface(
    np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]),
    np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]]),
)
"""A regular tetrahedron with edges of the square root of 8, facing outwards."""


def ellipsoid(
    radii_mm: Sequence[float],
    spacing_mm: Sequence[float],
    *,
    direction: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1),
) -> tuple[np.ndarray, Geometry]:
    """Return the mask of an ellipsoid, its half axes along x, y, z of the volume, with three voxels around it."""
    radii, spacing = np.array(radii_mm, float), np.array(spacing_mm, float)
    half = np.ceil(radii / spacing).astype(int) + 3
    z, y, x = np.meshgrid(*(np.arange(-n, n + 1) for n in half[::-1]), indexing="ij")
    offsets = np.stack([x, y, z], axis=-1) * spacing / radii
    size = tuple(int(2 * n + 1) for n in half)
    geometry = Geometry(size, tuple(spacing), (-40.0, 15.0, 600.0), direction)
    return ((offsets**2).sum(axis=-1) <= 1).astype(np.uint8), geometry


def facts(surface: Surface) -> tuple[bool, int]:
    """Return whether a mesh is closed, oriented and a manifold, and its Euler characteristic, by plain counting."""
    edges: Counter[tuple[int, int]] = Counter()
    fans: dict[int, dict[int, int]] = defaultdict(dict)
    for a, b, c in surface.triangles.tolist():
        for start, end, third in ((a, b, c), (b, c, a), (c, a, b)):
            edges[start, end] += 1
            fans[start][end] = third
    closed = all(count == 1 and edges[end, start] == 1 for (start, end), count in edges.items())
    closed = closed and all(_is_one_fan(fan) for fan in fans.values())
    return closed, len(fans) - len(edges) // 2 + len(surface.triangles)


def _is_one_fan(fan: dict[int, int]) -> bool:
    first = here = next(iter(fan))
    for steps in range(1, len(fan) + 1):
        here = fan.get(here, -1)
        if here == first:
            return steps == len(fan)
    return False
