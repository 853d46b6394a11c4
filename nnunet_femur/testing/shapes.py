"""Shapes as signed distances in mm on an open grid, for :mod:`nnunet_femur.testing`.

Distances are negative inside, and correct to first order at the surface. x and y have the shape (1, ny, nx), and z has
(nz, 1, 1). So a function of the height alone costs one value per slice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

Window = tuple[slice, slice, slice]
"""Part of a grid along z, y, x."""

_REACH_MM = 12.0
"""Distances are computed up to this limit. Tissues may depend on smaller distances only."""

FAR_MM = 1e3
"""Distance of points beyond the limit."""

_TINY = 1e-6


@dataclass(frozen=True)
class Points:
    """Voxel centres in the leg's frame, as an open grid.

    Attributes:
        x: Medial coordinate in mm, shape (1, ny, nx).
        y: Posterior coordinate in mm, shape (1, ny, nx).
        z: Height in mm, shape (nz, 1, 1).
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the full grid: z, y, x."""
        return (len(self.z), *self.x.shape[1:])

    def __getitem__(self, window: Window) -> Points:
        plane = (slice(None), *window[1:])
        return Points(self.x[plane], self.y[plane], self.z[window[0]])

    def near(self, box: np.ndarray) -> Window | None:
        """Return the part of the grid within 12 mm of a box ((x, y, z) low, (x, y, z) high); None if it is empty."""
        low, high = box[0] - _REACH_MM, box[1] + _REACH_MM
        slices = np.flatnonzero((self.z >= low[2]) & (self.z <= high[2]))
        if not len(slices):
            return None
        plane = (self.x >= low[0]) & (self.x <= high[0]) & (self.y >= low[1]) & (self.y <= high[1])
        rows, columns = (np.flatnonzero(plane[0].any(axis)) for axis in (1, 0))
        if not len(rows):
            return None
        z, y, x = (slice(int(found[0]), int(found[-1]) + 1) for found in (slices, rows, columns))
        return z, y, x


class Part(Protocol):
    """A shape.

    Attributes:
        box: Its bounding box in mm, ((x, y, z) low, (x, y, z) high).
        blend_mm: Width in mm of the fillet between it and the parts before it.
    """

    @property
    def blend_mm(self) -> float:
        """Width of the fillet in mm."""

    @property
    def box(self) -> np.ndarray:
        """Bounding box in mm."""

    def distance(self, at: Points) -> np.ndarray:
        """Return the signed distance in mm on the full grid of `at`."""


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid along the axes of the frame; see :class:`Part`.

    Attributes:
        centre: Its centre (x, y, z) in mm.
        radii: Its half axes (x, y, z) in mm.
    """

    centre: np.ndarray
    radii: np.ndarray
    blend_mm: float = 6.0

    @property
    def box(self) -> np.ndarray:
        """Bounding box in mm, ((x, y, z) low, (x, y, z) high)."""
        return np.stack([self.centre - self.radii, self.centre + self.radii])

    def distance(self, at: Points) -> np.ndarray:
        """Return the signed distance in mm on the full grid of `at`."""
        scaled = [
            ((axis - c) / r).astype(np.float32)
            for axis, c, r in zip((at.x, at.y, at.z), self.centre, self.radii, strict=True)
        ]
        return implicit_distance(scaled, self.radii.astype(np.float32))


@dataclass(frozen=True)
class Cone:
    """A cone with round ends between two points; see :class:`Part`.

    Attributes:
        ends: Its two ends, shape (2, 3): x, y, z in mm.
        radii: Its radius at each end in mm.
    """

    ends: np.ndarray
    radii: tuple[float, float]
    blend_mm: float = 6.0

    @property
    def box(self) -> np.ndarray:
        """Bounding box in mm, ((x, y, z) low, (x, y, z) high)."""
        radii = np.array(self.radii)[:, None]
        return np.stack([(self.ends - radii).min(0), (self.ends + radii).max(0)])

    def distance(self, at: Points) -> np.ndarray:
        """Return the signed distance in mm on the full grid of `at`."""
        axis = (self.ends[1] - self.ends[0]).astype(np.float32)
        x, y, z = (a - np.float32(c) for a, c in zip((at.x, at.y, at.z), self.ends[0], strict=True))
        along = np.clip((x * axis[0] + y * axis[1] + z * axis[2]) / (axis @ axis), 0, 1)
        squares = sum((a - along * d) ** 2 for a, d in zip((x, y, z), axis, strict=True))
        return np.sqrt(squares) - (self.radii[0] + along * np.float32(self.radii[1] - self.radii[0]))


@dataclass(frozen=True)
class Tube:
    """A tube of horizontal ellipses whose centre and half axes vary with the height; see :class:`Part`.

    Attributes:
        z: Heights in mm, increasing; the tube ends flat at the first and last.
        centre: Its centre (x, y) in mm at each height, shape (n, 2).
        radii: Its half axes (x, y) in mm at each height, shape (n, 2).
    """

    z: np.ndarray
    centre: np.ndarray
    radii: np.ndarray
    blend_mm: float = 6.0

    @property
    def box(self) -> np.ndarray:
        """Bounding box in mm, ((x, y, z) low, (x, y, z) high)."""
        low, high = (self.centre - self.radii).min(0), (self.centre + self.radii).max(0)
        return np.array([[*low, self.z[0]], [*high, self.z[-1]]])

    def scaled(self, at: Points) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return x and y in units of the half axes (1 on the wall), and the half axes in mm at each slice."""
        centre = [along(at.z, self.z, values) for values in self.centre.T]
        radii = [along(at.z, self.z, values) for values in self.radii.T]
        return [(a - c) / r for a, c, r in zip((at.x, at.y), centre, radii, strict=True)], radii

    def distance(self, at: Points) -> np.ndarray:
        """Return the signed distance in mm on the full grid of `at`."""
        wall = implicit_distance(*self.scaled(at))
        ends = np.maximum(self.z[0] - at.z, at.z - self.z[-1]).astype(np.float32)
        return np.maximum(wall, ends)


def along(z: np.ndarray, knots: ArrayLike, values: ArrayLike) -> np.ndarray:
    """Interpolate linearly over the height; the result has one float32 per slice."""
    return np.interp(z, np.asarray(knots), np.asarray(values)).astype(np.float32)


def implicit_distance(scaled: Sequence[np.ndarray], radii: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Return the distance to the ellipse or ellipsoid |scaled| = 1: the implicit function divided by its gradient."""
    value, gradient = (
        np.sqrt(sum(np.square(s) for s in terms) + np.float32(_TINY))
        for terms in (scaled, [s / r for s, r in zip(scaled, radii, strict=True)])
    )
    return value * (value - 1) / gradient


def smooth_min(a: np.ndarray, b: np.ndarray, blend_mm: float) -> np.ndarray:
    """Return the smaller distance, smoothed where the two differ by less than `blend_mm`."""
    overlap = np.maximum(np.float32(blend_mm) - np.abs(a - b), 0)
    return np.minimum(a, b) - overlap * overlap * np.float32(0.25 / blend_mm)


def union(parts: Sequence[Part], at: Points) -> np.ndarray:
    """Return the signed distance in mm to the smooth union of `parts`, correct within 12 mm of them."""
    distance = np.full(at.shape, FAR_MM, np.float32)
    for part in parts:
        window = at.near(part.box)
        if window:
            distance[window] = smooth_min(distance[window], part.distance(at[window]), part.blend_mm)
    return distance


def bounding_box_mm(parts: Sequence[Part]) -> np.ndarray:
    """Return the bounding box of several parts in mm, ((x, y, z) low, (x, y, z) high)."""
    boxes = np.stack([part.box for part in parts])
    return np.stack([boxes[:, 0].min(0), boxes[:, 1].max(0)])


@dataclass(frozen=True)
class Waves:
    """A smooth random function of position with unit variance: a sum of plane waves.

    Attributes:
        vectors: Wave vectors (x, y, z) in radians per mm, one per row.
        phases: Phases in radians, one per wave.
    """

    vectors: np.ndarray
    phases: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, count: int, lengths_mm: tuple[float, float]) -> Waves:
        """Draw `count` waves in random directions, with lengths in a range in mm."""
        directions = rng.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return cls(directions * 2 * np.pi / rng.uniform(*lengths_mm, (count, 1)), rng.uniform(0, 2 * np.pi, count))

    def at(self, at: Points) -> np.ndarray:
        """Return the function on the full grid.

        cos(a + b) is the sum of two products of a function of the plane and one of the height, so the whole grid is one
        matrix product. It uses einsum instead of BLAS, whose rounding depends on the number of threads.
        """
        kx, ky, kz = self.vectors.T[:, :, None, None]
        plane = kx * at.x + ky * at.y + self.phases[:, None, None]
        height = at.z.ravel()[:, None] * kz.ravel()
        basis = np.concatenate([np.cos(plane), -np.sin(plane)]).astype(np.float32)
        weights = np.concatenate([np.cos(height), np.sin(height)], 1) * np.sqrt(2 / len(self.phases))
        return np.einsum("zk,kyx->zyx", weights.astype(np.float32), basis)
