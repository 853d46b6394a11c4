"""Masks of closed surfaces: known shapes, exact ties, VTK as an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.imaging.surface_mesh import Surface, bone_surface
from nnunet_femur.testing.voxelising import grid_around, moved, rotation_xyz, voxelise

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def _box(size: float, start: float = 0.0) -> Surface:
    """A cube, whose diagonals pass through lattice points."""
    corners = np.array([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)], float) * size + start
    quads = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    triangles = [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]
    return Surface(corners, np.array(triangles, np.int64))


def _ball() -> Surface:
    """An uneven closed surface: a bumpy ball of about 20 mm."""
    x, y, z = np.ogrid[-26:27, -26:27, -26:27]
    mask = np.sqrt(x**2 + y**2 + z**2) + 2 * np.sin(x / 3) + 2 * np.sin(y / 4 + z / 5) < 20
    return bone_surface(mask, Geometry(mask.shape[::-1], (1, 1, 1), (0, 0, 0), IDENTITY))


@pytest.mark.parametrize("start", [0.0, 0.25])
def test_a_cube_on_the_lattice_has_its_volume_in_voxels(start):
    """Corners, edges and diagonals pass exactly through voxel centres; each centre counts once."""
    mask = voxelise(_box(5.0, start), Geometry((9, 9, 9), (1, 1, 1), (-2, -2, -2), IDENTITY))
    assert mask.sum() == 125
    assert all(np.ptp(where) == 4 for where in np.nonzero(mask))


def test_finer_lattice_counts_the_same_cube():
    mask = voxelise(_box(5.0), Geometry((30, 20, 60), (0.5, 0.5, 0.25), (-2, -2, -2), IDENTITY))
    assert mask.sum() == 10 * 10 * 20


@pytest.mark.parametrize("long_axis", [0, 1, 2])
def test_vtk_finds_the_same_voxels(long_axis):
    vtk = pytest.importorskip("vtkmodules.vtkImagingStencil")
    from vtkmodules.util.numpy_support import vtk_to_numpy

    from nnunet_femur.imaging.surface_mesh import vtk_mesh

    stretch = np.ones(3)
    stretch[long_axis] = 2.5
    ball = _ball()
    surface = moved(Surface(ball.points_mm * stretch, ball.triangles), rotation_xyz(11, -7, 23), (3.3, -40.1, 7.7))
    grid = grid_around(surface, (0.8, 1.1, 1.7), shift_voxels_xyz=(0.13, 0.71, 0.37))
    stencil = vtk.vtkPolyDataToImageStencil()
    stencil.SetInputData(vtk_mesh(surface))
    stencil.SetOutputOrigin(grid.origin_mm_xyz)
    stencil.SetOutputSpacing(grid.spacing_mm_xyz)
    stencil.SetOutputWholeExtent(*(n for size in grid.size_xyz for n in (0, size - 1)))
    image = vtk.vtkImageStencilToImage()
    image.SetInputConnection(stencil.GetOutputPort())
    image.SetInsideValue(1)
    image.SetOutsideValue(0)
    image.Update()
    expected = vtk_to_numpy(image.GetOutput().GetPointData().GetScalars()).reshape(grid.shape_zyx)
    mask = voxelise(surface, grid)
    assert mask.sum() > 5000
    # VTK's test has a tolerance.
    assert np.count_nonzero(mask != expected) <= 2


def test_oblique_and_mirrored_grids_hold_the_same_bone():
    """The mask's centroid and volume in the patient's space do not depend on the grid's axes."""
    surface = _ball()
    found = []
    for matrix in (np.eye(3), rotation_xyz(20, 30, 40), np.diag([1, -1, 1]), rotation_xyz(5, 5, 5)[[2, 0, 1]]):
        grid = grid_around(surface, (0.7, 0.8, 0.9), direction=np.ravel(matrix))
        index_xyz = np.argwhere(voxelise(surface, grid))[:, ::-1]
        points_mm = index_xyz @ grid.steps_mm.T + grid.origin_mm_xyz
        found.append([*points_mm.mean(0), len(points_mm) * grid.voxel_volume_ml])
    assert np.ptp(found, axis=0)[:3].max() < 0.02
    assert np.allclose(np.array(found)[:, 3], surface.volume_ml, rtol=3e-3)


def test_the_grid_has_its_margin_and_cuts_what_is_outside():
    surface = _box(5.0, 0.2)
    grid = grid_around(surface, (1.0, 1.0, 1.0), margin_voxels=3)
    inside = np.nonzero(voxelise(surface, grid))
    assert all(where.min() >= 3 and n - 1 - where.max() >= 3 for where, n in zip(inside, grid.shape_zyx, strict=True))
    assert voxelise(surface, Geometry((3, 9, 9), (1, 1, 1), (-0.5, -1, -1), IDENTITY)).sum() == 2 * 5 * 5


def test_overlapping_surfaces_are_united():
    one, other = _box(5.0, 0.1), _box(5.0, 2.1)
    both = Surface(np.vstack([one.points_mm, other.points_mm]), np.vstack([one.triangles, other.triangles + 8]))
    assert voxelise(both, Geometry((12, 12, 12), (1, 1, 1), (-2, -2, -2), IDENTITY)).sum() == 2 * 125 - 27


def test_reflections_keep_triangles_outwards():
    assert moved(_box(2.0), np.diag([1, -1, 1])).volume_ml == pytest.approx(0.008)
    assert moved(_box(2.0), rotation_xyz(1, 2, 3)).volume_ml == pytest.approx(0.008)
