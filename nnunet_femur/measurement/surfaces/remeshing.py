"""Uniform triangles for the surface of a bone: clusters of its points (ACVD), fitted to the surface."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.surface_mesh import Surface
from nnunet_femur.measurement.surfaces.bisection import divided
from nnunet_femur.measurement.surfaces.mesh_edges import longest_edges, unique_edges

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    Distance = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_LONGEST = 0.33
"""Longest edge of the surface that is grouped into clusters, in wanted edge lengths: about twenty points a cluster."""

_FITS = 2
"""Rounds of fitting: after the second, nothing changes by more than a hundredth of a voxel."""

_STIFFNESS = 0.02
"""Weight of the differences of neighbouring displacements against the distances from the surface."""


def remeshed(surface: Surface, edge_mm: float, density: NDArray[np.float64] | None = None) -> Surface:
    """Return a mesh of nearly equilateral triangles with the shape of a surface, inside which its edges cut corners.

    The points of the surface, whose long edges are divided first, are grouped into connected clusters of equal area by
    pyacvd (Valette and Chassery, "Approximated centroidal Voronoi diagrams for uniform polygonal mesh coarsening",
    Computer Graphics Forum 23, 2004). Each cluster becomes a point, and each triangle between three clusters becomes
    a triangle.

    Args:
        surface: A closed surface.
        edge_mm: Mean edge length in mm where the density is 1.
        density: Number of new points per area at each point of the surface, in relation to that of ``edge_mm``.

    Returns:
        The mesh. It need not be closed where the bone is thinner than a few edges; check it.

    Example:
        >>> import nnunet_femur.imaging as imaging
        >>> femur = imaging.read_femur("reference.nrrd")
        >>> surface = imaging.bone_surface(femur.voxels_zyx, femur.header.geometry)
        >>> mesh = remeshed(surface, edge_mm=8)
        >>> len(mesh.triangles) < len(surface.triangles)
        True
    """
    density = np.ones(len(surface.points_mm)) if density is None else density
    area_mm2 = _corner_areas_mm2(surface)
    wanted = max(4, round(float((area_mm2 * density).sum()) / (edge_mm**2 * np.sqrt(3) / 2)))
    surface, density = _finer(surface, density, edge_mm)
    clusters = _clusters(surface, density, wanted)
    corners = clusters[surface.triangles]
    first, second, third = corners.T
    corners = corners[(first != second) & (second != third) & (third != first)]
    triangles = np.unique(_from_lowest(corners), axis=0)
    weights = _corner_areas_mm2(surface) * density
    sums = np.maximum(np.bincount(clusters, weights), np.finfo(float).tiny)
    columns = [np.bincount(clusters, weights * surface.points_mm[:, axis]) / sums for axis in range(3)]
    used, triangles = np.unique(triangles, return_inverse=True)
    return Surface(np.stack(columns, axis=1)[used], triangles.reshape(-1, 3).astype(np.int64))


def fitted(mesh: Surface, distance: Distance) -> Surface:
    """Return a mesh moved along its normals so that centres and edges of its triangles are on a surface on average.

    Points on the surface would not suffice: triangles cut off what is convex, and the mesh would lose volume. The
    squares of the distances of centres and edges are minimised (Gauss-Newton), each with the same weight, so that small
    triangles follow the surface closely.

    Args:
        mesh: A closed mesh near the surface.
        distance: Signed distance of points in mm from the surface, negative inside it.
    """
    for _ in range(_FITS):
        mesh = _step(mesh, distance)
    return mesh


def _step(mesh: Surface, distance: Distance) -> Surface:
    from scipy.sparse import vstack
    from scipy.sparse.linalg import cg

    normals, facing, _ = _normals(mesh)
    edges, numbers = unique_edges(mesh.triangles)
    sums = np.stack([np.bincount(numbers.ravel(), np.repeat(axis, 3)) for axis in facing.T], axis=1)
    across = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.finfo(float).tiny)
    offsets_mm = distance(np.concatenate([mesh.points_mm[each].mean(axis=1) for each in (mesh.triangles, edges)]))
    points = len(mesh.points_mm)
    # Displacement of each centre and middle along its normal by that of the corners along theirs.
    effects = [
        _sparse(np.einsum("nkc,nc->nk", normals[corners], towards) / corners.shape[1], corners, points)
        for corners, towards in ((mesh.triangles, facing), (edges, across))
    ]
    effect = vstack(effects).tocsr()
    differences = _sparse(np.tile([1.0, -1.0], (len(edges), 1)), edges, points)
    system = effect.T @ effect + _STIFFNESS * differences.T @ differences
    steps_mm, _ = cg(system, -(effect.T @ offsets_mm), rtol=1e-4, maxiter=300)
    return Surface(mesh.points_mm + normals * steps_mm[:, None], mesh.triangles)


def _clusters(surface: Surface, density: NDArray[np.float64], wanted: int) -> NDArray[np.int64]:
    """Return the number of the cluster of each point."""
    import pyvista
    from pyacvd import Clustering

    with warnings.catch_warnings():
        # pyacvd reads the triangles by an older name.
        warnings.simplefilter("ignore", pyvista.PyVistaDeprecationWarning)
        division = Clustering(pyvista.PolyData.from_regular_faces(surface.points_mm, surface.triangles))
        # Its argument for weights changes the weighted points, but not the areas (0.4.0).
        division.area = division.area * density
        division.wcent = surface.points_mm * division.area[:, None]
        return np.asarray(division.cluster(wanted)).astype(np.int64)


def _finer(surface: Surface, density: NDArray[np.float64], edge_mm: float) -> tuple[Surface, NDArray[np.float64]]:
    """Return a surface whose triangles are short in relation to the wanted edges, and the density at its points."""
    while True:
        longest_mm = longest_edges(surface.points_mm, surface.triangles)
        long = longest_mm * np.sqrt(density[surface.triangles].max(axis=1)) > _LONGEST * edge_mm
        if not long.any():
            return surface, density
        surface, ends = divided(surface, long)
        density = np.concatenate([density, density[ends].mean(axis=1)])


def _corner_areas_mm2(surface: Surface) -> NDArray[np.float64]:
    """Return a third of the area of the triangles at each point."""
    _, _, areas_mm2 = _normals(surface)
    shares_mm2 = np.repeat(areas_mm2 / 3, 3)
    return np.bincount(surface.triangles.ravel(), shares_mm2, minlength=len(surface.points_mm)).astype(np.float64)


def _normals(surface: Surface) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return unit normals of the points, unit normals of the triangles, and areas of the triangles in mm2."""
    tiny = np.finfo(float).tiny
    facing = surface.normals_mm2
    doubles = np.maximum(np.linalg.norm(facing, axis=1), tiny)
    indices = surface.triangles.ravel()
    sums = np.stack(
        [np.bincount(indices, np.repeat(axis, 3), minlength=len(surface.points_mm)) for axis in facing.T], axis=1
    )
    lengths = np.maximum(np.linalg.norm(sums, axis=1), tiny)
    return sums / lengths[:, None], facing / doubles[:, None], doubles / 2


def _from_lowest(triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return triangles that start with their lowest corner and have the same direction."""
    first = triangles.argmin(axis=1)
    return np.take_along_axis(triangles, (first[:, None] + np.arange(3)) % 3, axis=1)


def _sparse(values: NDArray[np.float64], columns: NDArray[np.int64], width: int) -> csr_matrix:
    from scipy.sparse import csr_matrix

    rows = np.repeat(np.arange(len(values)), values.shape[1])
    return csr_matrix((values.ravel(), (rows, columns.ravel())), shape=(len(values), width))
