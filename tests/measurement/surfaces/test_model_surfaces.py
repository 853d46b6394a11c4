"""Surfaces for models: closed, near the mask, of the stated edge length, and refused or reported where they are not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.imaging.surface_mesh import Surface
from nnunet_femur.measurement import model_surfaces as module
from nnunet_femur.measurement.surfaces.model_surfaces import (
    QUALITY_COLUMNS,
    ModelSurface,
    model_surface,
    write_model_surface,
)
from nnunet_femur.testing import make_phantom
from tests.measurement.closed_meshes import MIRRORED, TURNED, ellipsoid, facts
from tests.refusing import names, refused

if TYPE_CHECKING:
    from pathlib import Path

EULER_OF_A_BALL = 2


def _require_good(model: ModelSurface, *, parts: int = 1) -> None:
    closed, euler = facts(model.surface)
    assert closed
    assert euler == EULER_OF_A_BALL * parts
    assert model.quality.closed
    assert model.quality.crossing_triangles == 0
    assert max(model.fit.off_mask_voxels, model.fit.missed_voxels) <= 0.5
    assert model.quality.smallest_angle_deg > 15
    assert model.surface.volume_ml > 0


@pytest.mark.parametrize("edge_mm", [2.0, 4.0])
@pytest.mark.parametrize("direction", [TURNED, MIRRORED], ids=["turned", "mirrored"])
def test_an_ellipsoid(edge_mm: float, direction: tuple[float, ...]) -> None:
    radii = (16.0, 13.0, 24.0)
    mask, geometry = ellipsoid(radii, (0.8, 0.8, 2.0), direction=direction)
    model = model_surface(mask, geometry, edge_mm=edge_mm)
    _require_good(model)
    assert model.problems == ()
    a, b, c = radii
    assert model.surface.volume_ml == pytest.approx(4 / 3 * math.pi * a * b * c / 1000, rel=0.015)
    # Knud Thomsen's formula for the area, within 1.1 %.
    p = 1.6075
    area_mm2 = 4 * math.pi * (((a * b) ** p + (a * c) ** p + (b * c) ** p) / 3) ** (1 / p)
    assert model.quality.area_cm2 == pytest.approx(area_mm2 / 100, rel=0.02)
    assert model.quality.edge_mean_mm == pytest.approx(edge_mm, rel=0.08)
    # Every corner is near the ellipsoid that was drawn.
    axes = np.reshape(direction, (3, 3))
    centre = np.array(geometry.origin_mm_xyz) + axes @ ((np.array(geometry.size_xyz) - 1) / 2 * geometry.spacing_mm_xyz)
    along = (model.surface.points_mm - centre) @ axes / radii
    lengths = np.linalg.norm(along, axis=1)
    assert np.abs(lengths - 1).max() * max(radii) < 2.0


def test_thick_slices() -> None:
    """The surface of the mask has long triangles then, which are divided first."""
    model = model_surface(*ellipsoid((14, 14, 30), (0.6, 0.6, 5.0)), edge_mm=2.0)
    _require_good(model)
    assert model.quality.edge_mean_mm == pytest.approx(2, rel=0.06)


@pytest.mark.parametrize("edge_mm", [2.0, 6.0])
def test_a_needle_of_single_voxels_is_refused(edge_mm: float) -> None:
    mask = np.zeros((40, 5, 5), np.uint8)
    mask[2:38, 2, 2] = 1
    with refused("unsupported", f"{edge_mm:g} mm"):
        model_surface(mask, Geometry((5, 5, 40), (1, 1, 1), (0, 0, 0), TURNED), edge_mm=edge_mm)


@pytest.mark.parametrize("share", [0.05, 0.15])
def test_a_rough_mask_gives_a_closed_surface_or_a_reason(share: float) -> None:
    """Voxels at the surface are flipped at random; distances that remain are reported."""
    mask, geometry = ellipsoid((14, 14, 20), (1, 1, 1))
    near = mask.astype(bool) ^ (np.roll(mask, 1, axis=0) & np.roll(mask, -1, axis=1)).astype(bool)
    mask[near & (np.random.default_rng(2).random(mask.shape) < share)] ^= 1
    model = model_surface(mask, geometry, edge_mm=3.0)
    assert facts(model.surface)[0]
    assert model.quality.crossing_triangles == 0
    far = max(model.fit.off_mask_voxels, model.fit.missed_voxels) > 0.5
    assert far == any(names(problem, "voxels from the mask") for problem in model.problems)


def test_a_phantom_of_both_femurs_cut_by_the_field_of_view() -> None:
    phantom = make_phantom(1, size_zyx=(64, 48, 48), spacing_mm_zyx=(7.0, 4.0, 4.0))
    mask, geometry = sitk.GetArrayFromImage(phantom.mask), Geometry.of(phantom.mask)
    model = model_surface(mask, geometry, edge_mm=5.0)
    closed, _ = facts(model.surface)
    assert closed
    assert model.fit.off_mask_voxels <= 0.5
    assert model.fit.volume_difference_percent == pytest.approx(0, abs=3)


def test_two_parts_are_both_closed_and_reported() -> None:
    mask, geometry = ellipsoid((9, 9, 9), (1, 1, 1))
    wide = np.concatenate([mask, mask], axis=2)
    geometry = Geometry((wide.shape[2], *geometry.size_xyz[1:]), (1, 1, 1), (0, 0, 0), geometry.direction)
    model = model_surface(wide, geometry, edge_mm=3.0)
    _require_good(model, parts=2)
    assert model.quality.components == 2
    assert len(model.problems) == 1
    assert names(model.problems[0], "2 separate parts")


def test_a_plate_thinner_than_the_edges_is_refined_until_it_is_closed() -> None:
    mask = np.zeros((30, 30, 12), np.uint8)
    mask[4:26, 4:26, 5:7] = 1
    geometry = Geometry((12, 30, 30), (1.0, 1.0, 1.0), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    model = model_surface(mask, geometry, edge_mm=4.0)
    closed, euler = facts(model.surface)
    assert (closed, euler) == (True, EULER_OF_A_BALL)
    assert model.quality.crossing_triangles == 0
    assert model.fit.refined_percent > 10
    assert model.quality.edge_min_mm < 2


def test_a_tunnel_is_counted_and_reported() -> None:
    mask, geometry = ellipsoid((14, 14, 14), (1, 1, 1))
    middle = mask.shape[0] // 2
    mask[:, middle - 4 : middle + 5, middle - 4 : middle + 5] = 0
    model = model_surface(mask, geometry, edge_mm=2.0)
    closed, euler = facts(model.surface)
    assert (closed, euler) == (True, 0)
    assert (model.quality.genus, model.fit.mask_genus) == (1, 1)
    assert names(model.problems[0], "tunnels", "1")


def test_a_mesh_that_stays_too_far_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without division of triangles, edges of 10 mm cut more than half a voxel off a ball of 10 mm radius."""
    monkeypatch.setattr(module, "_DIVISIONS", 0)
    model = model_surface(*ellipsoid((10, 10, 10), (0.5, 0.5, 0.5)), edge_mm=8.0)
    assert max(model.fit.off_mask_voxels, model.fit.missed_voxels) > 0.5
    assert names(model.problems[0], "voxels from the mask")


def test_a_mesh_that_is_not_closed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(surface: Surface, *_: object) -> Surface:
        return Surface(surface.points_mm, surface.triangles[1:])

    monkeypatch.setattr(module, "remeshed", opened)
    with refused("unsupported", "2 mm"):
        model_surface(*ellipsoid((8, 8, 8), (2, 2, 2)), edge_mm=2.0)


@pytest.mark.parametrize("edge_mm", [0.9, 10.5, 0.0, -1.0, float("nan")])
def test_edge_lengths_out_of_range(edge_mm: float) -> None:
    with refused("invalid-option", "10 mm"):
        model_surface(*ellipsoid((8, 8, 8), (2, 2, 3)), edge_mm=edge_mm)


def test_an_empty_mask() -> None:
    mask, geometry = ellipsoid((8, 8, 8), (2, 2, 2))
    with refused("no-femur"):
        model_surface(np.zeros_like(mask), geometry)


@pytest.fixture(scope="module")
def ball() -> ModelSurface:
    return model_surface(*ellipsoid((10, 10, 10), (1, 1, 1)), edge_mm=4.0)


def test_a_row_has_all_columns(ball: ModelSurface) -> None:
    row = ball.row()
    assert list(row) == list(QUALITY_COLUMNS)
    assert row["edge_mm"] == 4.0
    assert row["triangles"] == len(ball.surface.triangles)


@pytest.mark.parametrize("ending", [".stl", ".ply"])
def test_files_have_the_same_triangles(ball: ModelSurface, ending: str, tmp_path: Path) -> None:
    """Read by VTK, which merges equal corners of an STL, the mesh is the one that was checked."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOGeometry import vtkSTLReader
    from vtkmodules.vtkIOPLY import vtkPLYReader

    path = tmp_path / f"ball{ending}"
    write_model_surface(ball, path)
    content = path.read_bytes()
    assert b"SPACE=LPS" in content[:200]
    reader = vtkSTLReader() if ending == ".stl" else vtkPLYReader()
    reader.SetFileName(str(path))
    reader.Update()
    mesh = reader.GetOutput()
    triangles = vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    points = vtk_to_numpy(mesh.GetPoints().GetData()).astype(float)
    assert facts(Surface(points, triangles)) == (True, EULER_OF_A_BALL)
    np.testing.assert_array_equal(points[triangles], ball.surface.points_mm[ball.surface.triangles])


def test_other_endings_are_refused(ball: ModelSurface, tmp_path: Path) -> None:
    with refused("invalid-option", tmp_path / "ball.obj"):
        write_model_surface(ball, tmp_path / "ball.obj")
