"""Shaded images: outline, hiding, light and no holes, on spheres and plates."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.imaging.surface_mesh import Surface, bone_surface
from nnunet_femur.measurement.output.surface_shading import View, corner_normals, shade
from nnunet_femur.testing.voxelising import rotation_xyz

X, Y, Z = np.eye(3)
FRONT = View(up=Z, towards=-Y)


def _sphere(radius_mm: float, center_mm: tuple[float, ...] = (0.0, 0.0, 0.0), rings: int = 60) -> Surface:
    """A globe of rings * 2 * rings quadrangles."""
    down, around = np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    theta, phi = np.meshgrid(down, around, indexing="ij")
    points = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
    number = np.arange(theta.size).reshape(theta.shape)
    a, b = number[:-1], number[1:]
    c, d = np.roll(b, -1, axis=1), np.roll(a, -1, axis=1)
    triangles = np.concatenate([np.stack(each, axis=-1).reshape(-1, 3) for each in ((a, b, c), (a, c, d))])
    return Surface(radius_mm * points.reshape(-1, 3) + center_mm, triangles)


def _joined(*surfaces: Surface) -> Surface:
    starts = np.cumsum([0, *(len(each.points_mm) for each in surfaces[:-1])])
    triangles = [each.triangles + start for each, start in zip(surfaces, starts, strict=True)]
    return Surface(np.vstack([each.points_mm for each in surfaces]), np.vstack(triangles))


class TestSphere:
    @pytest.mark.parametrize("rings", [12, 60])
    def test_outline_is_a_circle_without_holes(self, rings: int) -> None:
        """Coarse and fine meshes: triangles much larger and smaller than pixels."""
        image = shade(_sphere(20, rings=rings), FRONT, pixel_mm=0.5)
        seen = np.isfinite(image.brightness)
        # A pixel is drawn if any part of it shows the sphere.
        assert np.pi * (20 * np.cos(np.pi / 2 / rings)) ** 2 < seen.sum() * 0.25 < np.pi * 20.5**2
        for row in seen:
            where = np.flatnonzero(row)
            assert row[where.min() : where.max() + 1].all() if where.size else True

    def test_extent_is_that_of_the_sphere(self) -> None:
        image = shade(_sphere(20, (100.0, -7.0, 300.0)), FRONT, pixel_mm=0.5)
        left, right, low, high = image.extent_mm
        assert [left, right, low, high] == pytest.approx([80, 120, 280, 320], abs=1.6)
        height, width = image.brightness.shape
        assert ((right - left) / width, (high - low) / height) == pytest.approx((0.5, 0.5))

    def test_light_is_from_the_upper_left(self) -> None:
        brightness = shade(_sphere(20), FRONT, pixel_mm=0.5).brightness
        middle = brightness.shape[0] // 2
        near = slice(middle - 14, middle - 10), slice(middle + 10, middle + 14)
        low, high = near
        assert brightness[high, low].mean() > brightness[low, high].mean() + 0.1
        assert np.nanmax(brightness) <= 1
        assert np.nanmin(brightness) >= 0

    def test_looks_the_same_after_a_rotation_of_bone_and_view(self) -> None:
        turn = rotation_xyz(20, 50, -130)
        bone = _joined(_sphere(20), _sphere(8, (25.0, 0, 10)))
        turned = Surface(bone.points_mm @ turn.T, bone.triangles)
        one = shade(bone, FRONT, pixel_mm=1.0).brightness
        other = shade(turned, View(turn @ Z, turn @ -Y), pixel_mm=1.0).brightness
        # Rounding can add a row or a column that is empty.
        rows, columns = np.minimum(one.shape, other.shape)
        one, other = one[:rows, :columns], other[:rows, :columns]
        assert np.isfinite(one).sum() == pytest.approx(np.isfinite(other).sum(), rel=0.01)
        assert np.nanmean(np.abs(one - other)) < 0.01


def test_what_is_in_front_hides_what_is_behind() -> None:
    """A sphere before or behind a wall; a triangle that faces away is not drawn."""
    wall = Surface(np.array([[-60.0, 0, -60], [60, 0, -60], [0, 0, 60]]), np.array([[0, 1, 2]]))
    alone = shade(wall, FRONT, pixel_mm=1.0).brightness
    before, behind = (
        shade(_joined(wall, _sphere(15, (0, y, -30))), FRONT, pixel_mm=1.0).brightness for y in (-20.0, 20.0)
    )
    assert np.nanstd(alone) == pytest.approx(0, abs=1e-6)
    assert np.nanstd(behind) == pytest.approx(0, abs=1e-6)
    changed = ~np.isclose(before, alone, atol=1e-6) & np.isfinite(alone)
    assert np.pi * 15**2 < changed.sum() < np.pi * 16**2
    assert np.isnan(shade(wall, View(up=Z, towards=Y), pixel_mm=1.0).brightness).all()


class TestNormals:
    def test_of_a_sphere_point_outwards(self) -> None:
        sphere = _sphere(20, (5.0, 6.0, 7.0))
        for smoothing in (0, 3):
            outwards = (sphere.points_mm - [5.0, 6.0, 7.0]) / 20
            found = corner_normals(sphere, smoothing=smoothing)
            np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
            assert np.einsum("ij,ij->i", found, outwards).min() > np.cos(0.1)

    def test_smoothing_hides_the_steps_of_voxels(self) -> None:
        grid = Geometry((44, 44, 44), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        z, y, x = np.indices(grid.shape_zyx) - 21.5
        steps = bone_surface(z**2 + y**2 + x**2 < 400, grid)
        outwards = steps.points_mm - 21.5
        outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
        rough, smooth = (
            np.degrees(np.arccos(np.clip(np.einsum("ij,ij->i", normals, outwards), -1, 1))).mean()
            for normals in (corner_normals(steps), corner_normals(steps, smoothing=6))
        )
        assert smooth < rough / 2


def test_projection() -> None:
    view = View(up=Z, towards=X)
    np.testing.assert_allclose(view.right, Y)
    np.testing.assert_allclose(view.project(np.array([[1.0, 2, 3], [4, 5, 6]])), [[2, 3], [5, 6]])
