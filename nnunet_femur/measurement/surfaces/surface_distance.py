"""Distances of points from a closed surface, by VTK."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.surface_mesh import vtk_mesh
from nnunet_femur.measurement.surfaces.mesh_edges import unique_edges

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nnunet_femur.imaging.surface_mesh import Surface


def signed_distance_to(surface: Surface) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return a function of points, shape (n, 3), that returns their distances from a surface, negative inside it.

    Args:
        surface: A closed surface; not empty. Its units are those of points and distances.

    Example:
        >>> from nnunet_femur.imaging.surface_mesh import Surface
        >>> corners_mm = np.array([[0.0, 0, 0], [30, 0, 0], [0, 30, 0], [0, 0, 30]])
        >>> surface = Surface(corners_mm, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))
        >>> signed_distance_to(surface)(np.array([[5.0, 5, -2], [5, 5, 2]])).tolist()
        [2.0, -2.0]
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonCore import vtkDoubleArray
    from vtkmodules.vtkFiltersCore import vtkImplicitPolyDataDistance

    distance = vtkImplicitPolyDataDistance()
    distance.SetInput(vtk_mesh(surface))

    def signed(points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the signed distances of points."""
        given = numpy_to_vtk(np.ascontiguousarray(points, dtype=float), deep=True)
        found = vtkDoubleArray()
        found.SetNumberOfTuples(len(points))
        distance.FunctionValue(given, found)
        return vtk_to_numpy(found).copy()

    return signed


def samples_of(surface: Surface) -> NDArray[np.float64]:
    """Return corners, centres of triangles and middles of edges, each once, shape (n, 3)."""
    edges, _ = unique_edges(surface.triangles)
    corners = surface.points_mm
    return np.concatenate([corners, corners[surface.triangles].mean(axis=1), corners[edges].mean(axis=1)])
