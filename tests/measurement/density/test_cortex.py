"""Cross-sections of hollow cylinders of known radii."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage

from nnunet_femur.imaging import Geometry
from nnunet_femur.measurement.density.cortex import CorticalSection, cortical_section, voxel_across_mm
from nnunet_femur.measurement.femur_measurements import Missing
from tests.measurement.tubes import Tube, tube

OUTER = 13.4


def _section(of: Tube, center_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> CorticalSection:
    section = cortical_section(of.ct_zyx, of.mask_zyx, of.geometry, np.array(center_mm), of.axis)
    assert isinstance(section, CorticalSection), section
    return section


def _area(radius_mm: float) -> float:
    return np.pi * radius_mm**2


class TestCylinder:
    @pytest.mark.parametrize(
        ("spacing_mm", "thickness_mm"),
        [((1, 1, 1), 3), ((1, 1, 1), 4.5), ((1, 1, 1), 6), ((0.8, 0.8, 2), 2.6), ((1.5, 1.5, 2), 4.5), ((2, 2, 2), 6)],
    )
    def test_has_its_radii(self, spacing_mm: tuple[float, float, float], thickness_mm: float) -> None:
        """Cortices of three voxels and more: thickness to 0.1 mm and areas to 2 %."""
        section = _section(tube(OUTER, OUTER - thickness_mm, spacing_mm=spacing_mm))
        assert section.thickness_mm == pytest.approx(thickness_mm, abs=0.1)
        assert section.total_area_mm2 == pytest.approx(_area(OUTER), rel=0.01)
        assert section.marrow_area_mm2 == pytest.approx(_area(OUTER - thickness_mm), rel=0.02)
        assert section.cortical_area_mm2 == pytest.approx(_area(OUTER) - _area(OUTER - thickness_mm), rel=0.02)
        assert section.index == pytest.approx(thickness_mm / OUTER, abs=0.01)
        assert section.edges.cortex_hu == pytest.approx(1600, abs=60)
        assert section.edges.marrow_hu == pytest.approx(-50, abs=10)

    def test_with_the_marrow_beside_the_middle(self) -> None:
        """The mean of the shortest distances from a circle to another one inside, by numerical integration."""
        angles = np.linspace(0, 2 * np.pi, 10_000, endpoint=False)
        expected = np.mean(np.hypot(OUTER * np.cos(angles) - 2, OUTER * np.sin(angles)) - 9)
        section = _section(tube(OUTER, 9, aside_mm=2))
        assert section.thickness_mm == pytest.approx(expected, abs=0.05)
        assert section.marrow_area_mm2 == pytest.approx(_area(9), rel=0.01)

    @pytest.mark.parametrize("soft_hu", [-100, 250])
    def test_does_not_depend_on_the_tissue_beside_it(self, soft_hu: float) -> None:
        """Fat, or muscle and vessels with contrast agent."""
        assert _section(tube(OUTER, 8.9, soft_hu=soft_hu)).thickness_mm == pytest.approx(4.5, abs=0.05)

    @pytest.mark.parametrize("change", [scipy.ndimage.binary_erosion, scipy.ndimage.binary_dilation])
    def test_does_not_depend_on_a_voxel_of_the_mask(self, change: np.ufunc) -> None:
        bone = tube(OUTER, 8.9)
        other = replace(bone, mask_zyx=np.stack([change(each) for each in bone.mask_zyx]))
        assert _section(other).thickness_mm == pytest.approx(_section(bone).thickness_mm, abs=0.02)

    def test_does_not_depend_on_the_starting_point(self) -> None:
        bone = tube(OUTER, 8.9)
        assert _section(bone, (4, -5, 0)).total_area_mm2 == pytest.approx(_section(bone).total_area_mm2, rel=0.002)

    def test_in_an_oblique_and_flipped_volume(self) -> None:
        bone = tube(OUTER, 8.9)
        turn = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0], [0.48, 0.64, 0.6]]) @ np.diag([1, -1, 1])
        grid = bone.geometry
        geometry = replace(
            grid, origin_mm_xyz=tuple(turn @ grid.origin_mm_xyz), direction=tuple(float(each) for each in turn.ravel())
        )
        turned = replace(bone, geometry=geometry, axis=turn @ bone.axis)
        assert _section(turned).thickness_mm == pytest.approx(_section(bone).thickness_mm, abs=0.01)
        assert _section(turned).marrow_area_mm2 == pytest.approx(_section(bone).marrow_area_mm2, rel=0.002)


class TestRefusal:
    def _code(self, of: Tube) -> str:
        found = cortical_section(of.ct_zyx, of.mask_zyx, of.geometry, np.zeros(3), of.axis)
        assert isinstance(found, Missing)
        return found.code

    @pytest.mark.parametrize(("spacing_mm", "thickness_mm"), [(1.0, 1.0), (1.0, 1.9), (2.0, 3.0), (3.0, 4.0)])
    def test_of_a_cortex_that_blur_widens(self, spacing_mm: float, thickness_mm: float) -> None:
        thin = tube(OUTER, OUTER - thickness_mm, spacing_mm=(spacing_mm,) * 3)
        assert self._code(thin) == "cortex-too-thin"

    def test_of_a_bone_without_marrow(self) -> None:
        assert self._code(tube(OUTER, 0)) == "cortex-not-found"

    def test_of_a_mask_without_bone(self) -> None:
        assert self._code(tube(OUTER, 9, bone_hu=60)) == "cortex-not-found"

    def test_of_a_mask_far_from_the_bone_in_the_ct(self) -> None:
        bone = tube(OUTER, 9)
        assert self._code(replace(bone, mask_zyx=np.roll(bone.mask_zyx, 9, axis=2))) == "cortex-not-found"

    def test_of_a_section_beside_the_mask(self) -> None:
        bone = tube(OUTER, 9)
        assert self._code(replace(bone, mask_zyx=np.zeros_like(bone.mask_zyx))) == "section-not-closed"


def test_voxel_across_an_oblique_axis() -> None:
    """Across the x axis, rays go along y (1 mm), z (3 mm), and between."""
    grid = Geometry((9, 9, 9), (0.5, 1.0, 3.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    angles = np.linspace(0, 2 * np.pi, 3600, endpoint=False)
    expected = np.mean(1 / np.hypot(np.cos(angles) / 1.0, np.sin(angles) / 3.0))
    assert voxel_across_mm(grid, np.array([1.0, 0.0, 0.0])) == pytest.approx(expected, rel=0.01)
