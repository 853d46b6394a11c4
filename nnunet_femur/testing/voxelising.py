"""Masks of a closed surface on any grid, by an exact test of each voxel's centre.

They are test data with a known shape: the measurements of a mask are compared with those of the surface it was made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.imaging.surface_mesh import Surface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

_PAIRS_AT_ONCE = 2_000_000
"""Pairs of a triangle and a column of voxels in memory at once."""

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def rotation_xyz(x_deg: float, y_deg: float, z_deg: float) -> NDArray[np.float64]:
    """Return the matrix of rotations about x, then y, then z, shape (3, 3); `points @ matrix.T` rotates points.

    Example:
        >>> np.round(rotation_xyz(0, 0, 90) @ [1, 0, 0], 12).tolist()
        [0.0, 1.0, 0.0]
    """
    turned = np.eye(3)
    for axis, degrees in enumerate((x_deg, y_deg, z_deg)):
        cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        i, j = (axis + 1) % 3, (axis + 2) % 3
        about = np.eye(3)
        about[i, i] = about[j, j] = cosine
        about[i, j], about[j, i] = -sine, sine
        turned = about @ turned
    return turned


def moved(surface: Surface, matrix: ArrayLike, shift_mm: ArrayLike = (0.0, 0.0, 0.0)) -> Surface:
    """Return a surface after a rotation or a reflection, and a shift; its triangles face outwards as before.

    Args:
        surface: A closed surface.
        matrix: Orthogonal matrix, shape (3, 3), applied to the points first.
        shift_mm: Added to the points afterwards.

    Example:
        >>> corners_mm = np.array([[0.0, 0, 0], [30, 0, 0], [0, 20, 0], [0, 0, 10]])
        >>> tetrahedron = Surface(corners_mm, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))
        >>> moved(tetrahedron, np.diag([-1, 1, 1])).volume_ml
        1.0
    """
    rotation = np.asarray(matrix, float)
    triangles = surface.triangles if np.linalg.det(rotation) > 0 else surface.triangles[:, ::-1]
    return Surface(surface.points_mm @ rotation.T + np.asarray(shift_mm, float), triangles)


def grid_around(
    surface: Surface,
    spacing_mm_xyz: Sequence[float],
    *,
    direction: Sequence[float] = _IDENTITY,
    margin_voxels: int = 4,
    shift_voxels_xyz: Sequence[float] = (0.0, 0.0, 0.0),
) -> Geometry:
    """Return a grid that contains a surface.

    Args:
        surface: The surface.
        spacing_mm_xyz: Spacing along x, y, z in mm.
        direction: Row-major 3 x 3 matrix of the grid's axes.
        margin_voxels: Voxels between the surface and each border.
        shift_voxels_xyz: Position of the grid relative to the surface, in voxels, 0 to 1 along each axis.

    Example:
        >>> corners_mm = np.array([[0.0, 0, 0], [30, 0, 0], [0, 20, 0], [0, 0, 10]])
        >>> tetrahedron = Surface(corners_mm, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))
        >>> grid_around(tetrahedron, (1.0, 1.0, 2.0), margin_voxels=2).size_xyz
        (35, 25, 10)
    """
    axes = np.reshape(direction, (3, 3))
    spacing = np.asarray(spacing_mm_xyz, float)
    index = surface.points_mm @ axes / spacing
    low = np.floor(index.min(0)) - margin_voxels + np.asarray(shift_voxels_xyz)
    size = np.ceil(index.max(0) - low).astype(int) + margin_voxels + 1
    origin = axes @ (low * spacing)
    return Geometry(
        tuple(int(n) for n in size),
        tuple(float(s) for s in spacing),
        tuple(float(o) for o in origin),
        tuple(float(d) for d in direction),
    )


def voxelise(surface: Surface, geometry: Geometry) -> NDArray[np.uint8]:
    """Return the mask of a closed surface: 1 where the centre of a voxel is inside, else 0; shape (z, y, x).

    A voxel is inside if more triangles below it face downwards than upwards, counted along one axis of the grid, so
    surfaces that overlap are united. A centre exactly on an edge belongs to one of its two triangles, never to both or
    none. The part of the surface outside the grid is ignored.

    Example:
        >>> corners_mm = np.array([[0.0, 0, 0], [30, 0, 0], [0, 20, 0], [0, 0, 10]])
        >>> tetrahedron = Surface(corners_mm, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))
        >>> grid = grid_around(tetrahedron, (0.5, 0.5, 0.5), shift_voxels_xyz=(0.3, 0.4, 0.6))
        >>> bool(abs(voxelise(tetrahedron, grid).sum() * grid.voxel_volume_ml - 1) < 0.01)
        True
    """
    index = geometry.index_of(surface.points_mm)
    size = np.array(geometry.size_xyz)
    # The fewest columns, and so the fewest pairs, are along the longest axis.
    column = int(np.argmax(np.ptp(index, axis=0)))
    order = [(column + 1) % 3, (column + 2) % 3, column]
    index, size = index[:, order], size[order]
    if np.linalg.det(geometry.steps_mm) < 0:
        triangles = np.asarray(surface.triangles)[:, ::-1]
    else:
        triangles = np.asarray(surface.triangles)
    steps = np.zeros((size[0], size[1], size[2] + 1), np.int16)
    for part in _parts(index, triangles, size):
        _count_crossings(steps, index, part, size)
    inside = np.cumsum(steps, axis=2, dtype=np.int16)[:, :, :-1] > 0
    back = np.argsort(order)
    return np.ascontiguousarray(inside.transpose(back).transpose(2, 1, 0)).astype(np.uint8)


def _parts(
    index: NDArray[np.float64], triangles: NDArray[np.int64], size: NDArray[np.int64]
) -> list[NDArray[np.int64]]:
    """Return the triangles in parts of about equal work."""
    _, extent = _boxes(index, triangles, size)
    count = int((extent[:, 0] * extent[:, 1]).sum() // _PAIRS_AT_ONCE) + 1
    return np.array_split(triangles[np.all(extent > 0, axis=1)], count)


def _boxes(
    index: NDArray[np.float64], triangles: NDArray[np.int64], size: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first column, and the numbers of columns along both axes, in the box of each triangle."""
    corners = index[triangles][:, :, :2]
    low = np.maximum(np.ceil(corners.min(1)), 0).astype(np.int64)
    high = np.minimum(np.floor(corners.max(1)), size[:2] - 1).astype(np.int64)
    return low, np.maximum(high - low + 1, 0)


def _count_crossings(
    steps: NDArray[np.int16], index: NDArray[np.float64], triangles: NDArray[np.int64], size: NDArray[np.int64]
) -> None:
    """Add the crossings of columns with these triangles to `steps`: 1 where a column enters, -1 where it leaves."""
    low, extent = _boxes(index, triangles, size)
    counts = extent[:, 0] * extent[:, 1]
    owner = np.repeat(np.arange(len(triangles)), counts)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    u = low[owner, 0] + within % extent[owner, 0]
    v = low[owner, 1] + within // extent[owner, 0]
    corners = [index[triangles[owner, corner]] for corner in range(3)]
    ids = [triangles[owner, corner] for corner in range(3)]
    weights, owned = [], []
    for corner in range(3):
        i, j = (corner + 1) % 3, (corner + 2) % 3
        # Both triangles at an edge compute it from the same end, so that rounding cannot open a gap.
        forwards = ids[i] < ids[j]
        a = np.where(forwards[:, None], corners[i], corners[j])
        b = np.where(forwards[:, None], corners[j], corners[i])
        value = (b[:, 0] - a[:, 0]) * (v - a[:, 1]) - (b[:, 1] - a[:, 1]) * (u - a[:, 0])
        # A column exactly on the edge is treated as if it were moved by a tiny step along u, and a tinier one along v.
        falls = (b[:, 1] < a[:, 1]) | ((b[:, 1] == a[:, 1]) & (b[:, 0] > a[:, 0]))
        left = (value > 0) | ((value == 0) & falls)
        owned.append(np.where(forwards, left, ~left))
        weights.append(np.where(forwards, value, -value))
    # `owned` is True on the left of a directed edge; a triangle that faces down has the column right of all edges.
    up = owned[0] & owned[1] & owned[2]
    down = ~owned[0] & ~owned[1] & ~owned[2]
    hit = up | down
    total = weights[0] + weights[1] + weights[2]
    usable = hit & (total != 0)
    height = sum(w[usable] * c[usable, 2] for w, c in zip(weights, corners, strict=True)) / total[usable]
    first = np.clip(np.ceil(height), 0, size[2]).astype(np.int64)
    np.add.at(steps, (u[usable], v[usable], first), np.where(up[usable], -1, 1).astype(np.int16))
