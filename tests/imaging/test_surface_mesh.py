"""Surfaces: closed, facing outwards, near the mask, in the patient's space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.imaging.surface_mesh import Surface, bone_surface, write_stl, write_surface
from nnunet_femur.testing import make_phantom
from tests.full_disk import full_disk, needs_file_size_limit
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

TURNED = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.3, -0.5, 0.4).GetMatrix()
MIRRORED = tuple(np.array(TURNED) * np.array([1, 1, -1] * 3))
DIRECTIONS = {"along the patient": tuple(np.eye(3).ravel()), "oblique": TURNED, "oblique and mirrored": MIRRORED}
SPACING = (0.8, 0.9, 2.0)


@pytest.fixture(params=DIRECTIONS)
def geometry(request: pytest.FixtureRequest) -> Geometry:
    return Geometry((44, 40, 20), SPACING, (-100.0, 50.0, 7.0), DIRECTIONS[request.param])


def _ball(*, cut: bool = False) -> np.ndarray:
    """A ball of 13 mm around voxel (20, 19, 9), or around (20, 19, 2) so that the volume's end cuts it."""
    z, y, x = np.indices((20, 40, 44))
    centre = 2 if cut else 9
    squares = ((x - 20) * SPACING[0]) ** 2 + ((y - 19) * SPACING[1]) ** 2 + ((z - centre) * SPACING[2]) ** 2
    return (squares <= 13.0**2).astype(np.uint8)


def _edges(surface: Surface) -> np.ndarray:
    corners = surface.triangles
    return np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])


def _require_closed(surface: Surface) -> None:
    """Each edge belongs to two triangles, which run along it in opposite directions."""
    directed, counts = np.unique(_edges(surface), axis=0, return_counts=True)
    assert set(counts) == {1}
    assert np.array_equal(np.unique(directed[:, ::-1], axis=0), directed)


def _positions(surface: Surface, geometry: Geometry) -> np.ndarray:
    """Return the corners in voxels, as SimpleITK transforms points to indices."""
    image = sitk.Image(geometry.size_xyz, sitk.sitkUInt8)
    image.SetSpacing(geometry.spacing_mm_xyz)
    image.SetOrigin(geometry.origin_mm_xyz)
    image.SetDirection(geometry.direction)
    points = surface.points_mm.tolist()
    return np.array([image.TransformPhysicalPointToContinuousIndex(point) for point in points])


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut by the field of view"])
def test_is_closed_and_faces_outwards(geometry: Geometry, cut: bool) -> None:
    mask = _ball(cut=cut)
    surface = bone_surface(mask, geometry)
    _require_closed(surface)
    assert surface.volume_ml == pytest.approx(mask.sum() * geometry.voxel_volume_ml, rel=0.02)


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut by the field of view"])
def test_is_within_one_voxel_of_the_masks_surface(geometry: Geometry, cut: bool) -> None:
    mask = np.pad(_ball(cut=cut), 2)
    positions = _positions(bone_surface(_ball(cut=cut), geometry), geometry) + 2
    for x, y, z in positions:
        near = mask[
            int(np.ceil(z - 1)) : int(z + 1) + 1,
            int(np.ceil(y - 1)) : int(y + 1) + 1,
            int(np.ceil(x - 1)) : int(x + 1) + 1,
        ]
        assert near.min() == 0, "bone all around"
        assert near.max() == 1, "no bone near"


def test_is_smooth(geometry: Geometry) -> None:
    """The corners of a ball of voxels are up to a voxel off its surface; after smoothing, less than a millimetre."""
    image_to_mm = np.reshape(geometry.direction, (3, 3)) * SPACING
    centre = image_to_mm @ (20, 19, 9) + geometry.origin_mm_xyz
    distances = np.linalg.norm(bone_surface(_ball(), geometry).points_mm - centre, axis=1)
    assert distances.mean() == pytest.approx(13.0, abs=0.3)
    assert distances.std() < 0.35


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_any_mask_gives_a_closed_surface(share: float) -> None:
    mask = (np.random.default_rng(1).random((12, 12, 12)) < share).astype(np.uint8)
    _require_closed(bone_surface(mask, Geometry((12, 12, 12), (1, 1, 1), (0, 0, 0), TURNED)))


def test_an_empty_mask_has_an_empty_surface() -> None:
    surface = bone_surface(np.zeros((3, 3, 3), np.uint8), Geometry((3, 3, 3), (1, 1, 1), (0, 0, 0), TURNED))
    assert len(surface.points_mm) == len(surface.triangles) == 0


def test_the_file_reads_back_in_vtk(tmp_path: Path) -> None:
    from vtkmodules.vtkFiltersCore import vtkFeatureEdges, vtkMassProperties
    from vtkmodules.vtkIOGeometry import vtkSTLReader

    phantom = make_phantom(1, size_zyx=(48, 32, 32), spacing_mm_zyx=(10.0, 6.0, 6.0))
    geometry = Geometry.of(phantom.mask)
    mask = sitk.GetArrayFromImage(phantom.mask)
    surface = bone_surface(mask, geometry)
    write_stl(surface, tmp_path / "bone.stl")
    content = (tmp_path / "bone.stl").read_bytes()
    assert content.startswith(b"SPACE=LPS"), "this is how 3D Slicer knows the axes"
    assert len(content) == 84 + 50 * len(surface.triangles)
    reader = vtkSTLReader()
    reader.SetFileName(str(tmp_path / "bone.stl"))
    reader.Update()
    mesh = reader.GetOutput()
    assert mesh.GetNumberOfCells() == len(surface.triangles)
    open_edges = vtkFeatureEdges()
    open_edges.SetInputData(mesh)
    open_edges.FeatureEdgesOff()
    open_edges.Update()
    assert open_edges.GetOutput().GetNumberOfCells() == 0
    measured = vtkMassProperties()
    measured.SetInputData(mesh)
    assert measured.GetVolume() / 1000 == pytest.approx(mask.sum() * geometry.voxel_volume_ml, rel=0.05)
    low, high = (np.array(mesh.GetBounds())[part] for part in (slice(0, None, 2), slice(1, None, 2)))
    corners = np.array(
        [phantom.mask.TransformIndexToPhysicalPoint(tuple(int(n) for n in index[::-1])) for index in np.argwhere(mask)]
    )
    spacing = np.array((6.0, 6.0, 10.0))
    assert np.abs(low - corners.min(0)).max() <= spacing.max()
    assert np.abs(high - corners.max(0)).max() <= spacing.max()
    normals = np.frombuffer(content[84:], dtype=[("n", "<f4", 3), ("c", "<f4", (3, 3)), ("u", "<u2")])
    assert np.allclose(np.linalg.norm(normals["n"], axis=1), 1, atol=1e-5)


def test_files_that_cannot_be_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    geometry = Geometry((20, 20, 20), (1, 1, 1), (0, 0, 0), TURNED)
    ball = np.zeros((20, 20, 20), bool)
    ball[5:15, 5:15, 5:15] = True
    surface = bone_surface(ball, geometry)
    with refused("cannot-write", tmp_path / "nowhere" / "bone.stl"):
        write_stl(surface, tmp_path / "nowhere" / "bone.stl")
    with refused("unsupported", tmp_path / "bone.stl"):
        write_stl(bone_surface(np.zeros_like(ball), geometry), tmp_path / "bone.stl")
    assert list(tmp_path.iterdir()) == []
    captured = capfd.readouterr()
    assert captured.out + captured.err == "", "VTK prints nothing"


def test_without_smoothing_corners_are_half_way_between_voxels(geometry: Geometry) -> None:
    positions = _positions(bone_surface(_ball(), geometry, smooth=False), geometry)
    halves = np.abs(positions * 2 - np.round(positions * 2)).max()
    assert halves < 1e-4
    assert (np.round(positions * 2).astype(int) % 2).sum(axis=1).tolist() == [1] * len(positions)


def test_ply_has_the_corners_once(geometry: Geometry, tmp_path: Path) -> None:
    surface = bone_surface(_ball(), geometry)
    write_surface(surface, tmp_path / "ball.PLY")
    header, _, body = (tmp_path / "ball.PLY").read_bytes().partition(b"end_header\n")
    lines = header.decode("ascii").splitlines()
    assert f"element vertex {len(surface.points_mm)}" in lines
    assert f"element face {len(surface.triangles)}" in lines
    assert any("SPACE=LPS" in line for line in lines)
    assert len(body) == 12 * len(surface.points_mm) + 13 * len(surface.triangles)
    with refused("invalid-option", ".ply"):
        write_surface(surface, tmp_path / "ball.vtk")


@needs_file_size_limit
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    ball = np.zeros((40, 40, 40), bool)
    ball[5:35, 5:35, 5:35] = True
    surface = bone_surface(ball, Geometry((40, 40, 40), (1, 1, 1), (0, 0, 0), TURNED))
    (tmp_path / "bone.stl").write_bytes(b"old")
    with full_disk(after_bytes=5000), refused("cannot-write", tmp_path / "bone.stl"):
        write_stl(surface, tmp_path / "bone.stl")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"bone.stl": b"old"}
