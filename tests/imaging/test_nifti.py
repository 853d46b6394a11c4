"""NIfTI by nibabel's rules: the oracle is nibabel itself."""

from __future__ import annotations

import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.affines import apply_affine

from nnunet_femur.imaging.files import read_header, read_with_header
from nnunet_femur.imaging.geometry import Geometry, VolumeError

ARRAY_XYZ = np.random.default_rng(0).integers(-1000, 1500, (5, 6, 7)).astype(np.int16)
AFFINE = np.array([[-0.8, 0.0, 0.0, 30.0], [0.0, 0.6, -1.6, -20.0], [0.0, 0.8, 1.2, 10.0], [0, 0, 0, 1.0]])
"""Oblique, left-handed, 0.8 x 1 x 2 mm."""


def _save(path, affine=AFFINE, sform=1, qform=1, **fields):
    """Write NIfTI-1 with these codes and fields; nibabel would correct them, so they are put into its bytes."""
    image = nibabel.Nifti1Image(ARRAY_XYZ, affine)
    image.header.set_qform(affine, code=1)
    raw = bytearray(image.to_bytes())
    header = nibabel.Nifti1Header(bytes(raw[:348]), check=False)
    for name, value in {"sform_code": sform, "qform_code": qform, **fields}.items():
        header[name] = value
    raw[:348] = header.binaryblock
    path.write_bytes(gzip.compress(raw) if path.name.endswith(".gz") else bytes(raw))
    return path


def _lps(affine, index):
    return apply_affine(np.diag([-1, -1, 1, 1]) @ affine, index)


def _codes(header):
    return [found.code for found in header.findings]


class TestVoxels:
    @pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
    @pytest.mark.parametrize("cls", [nibabel.Nifti1Image, nibabel.Nifti2Image])
    @pytest.mark.parametrize("dtype", ["i2", ">i2", "u1", "u2", "i4", "f4", "f8"])
    def test_as_nibabel_reads_them(self, tmp_path, name, cls, dtype):
        path = tmp_path / name
        image = cls(ARRAY_XYZ.astype(dtype), AFFINE)
        if dtype.startswith(">"):
            image = cls(ARRAY_XYZ.astype(dtype), AFFINE, header=image.header.as_byteswapped(">"))
        nibabel.save(image, path)
        header, read = read_with_header(path)
        expected = np.asanyarray(nibabel.load(path).dataobj)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read), expected.transpose())
        assert not header.rescaled
        assert header.findings == ()
        assert Geometry.of(read) == header.geometry

    @pytest.mark.parametrize(("slope", "intercept"), [(1.5, -24.0), (1.0, -1024.0), (0.5, 0.0)])
    def test_slope_and_intercept_are_applied(self, tmp_path, slope, intercept):
        path = _save(tmp_path / "a.nii.gz", scl_slope=slope, scl_inter=intercept)
        header, read = read_with_header(path)
        assert header.rescaled
        np.testing.assert_allclose(sitk.GetArrayFromImage(read), ARRAY_XYZ.transpose() * slope + intercept, rtol=1e-6)

    @pytest.mark.parametrize(("slope", "intercept"), [(0.0, 5.0), (float("nan"), float("nan")), (1.0, 0.0)])
    def test_invalid_slopes_are_ignored(self, tmp_path, slope, intercept):
        header, read = read_with_header(_save(tmp_path / "a.nii", scl_slope=slope, scl_inter=intercept))
        assert not header.rescaled
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read), ARRAY_XYZ.transpose())

    @pytest.mark.parametrize("packed", [True, False])
    def test_the_format_is_decided_by_content_and_not_by_ending(self, tmp_path, packed):
        right = _save(tmp_path / ("right.nii.gz" if packed else "right.nii"))
        path = right.rename(tmp_path / ("wrong.nii" if packed else "wrong.nii.gz"))
        header, read = read_with_header(path)
        assert _codes(header) == ["ending"]
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read), ARRAY_XYZ.transpose())

    def test_complex_numbers_colours_and_further_dimensions_are_refused(self, tmp_path):
        for number, (array, code) in enumerate(
            (
                (ARRAY_XYZ.astype(np.complex64), "colour"),
                (np.zeros((3, 3, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "colour"),
                (np.zeros((3, 3, 3, 2), np.int16), "not-3d"),
                (np.zeros((3, 3, 3, 1, 2), np.int16), "colour"),
                (np.zeros((3, 3), np.int16), "not-3d"),
            )
        ):
            path = tmp_path / f"{number}.nii"
            nibabel.save(nibabel.Nifti1Image(array, AFFINE), path)
            with pytest.raises(VolumeError) as caught:
                read_header(path)
            assert caught.value.code == code

    def test_analyze_is_refused(self, tmp_path):
        nibabel.save(nibabel.Spm2AnalyzeImage(ARRAY_XYZ, np.diag([-1, 1, 1, 1])), tmp_path / "a.img")
        (tmp_path / "a.hdr").rename(tmp_path / "a.nii")
        with pytest.raises(VolumeError) as caught:
            read_header(tmp_path / "a.nii")
        assert caught.value.code == "unreadable"
        assert "Analyze" in caught.value.problem


class TestGeometry:
    @pytest.mark.parametrize(("sform", "qform"), [(1, 1), (2, 0), (0, 1)])
    def test_position_of_every_corner(self, tmp_path, sform, qform):
        header = read_header(_save(tmp_path / "a.nii", sform=sform, qform=qform))
        assert _codes(header) == []
        corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(ARRAY_XYZ.shape) - 1)
        np.testing.assert_allclose(header.geometry.corners_mm, _lps(AFFINE, corners), atol=1e-4)

    def test_units_of_metres_and_micrometres(self, tmp_path):
        for unit, factor in (("meter", 1e-3), ("micron", 1e3)):
            affine = np.diag([0.8 * factor, factor, 2 * factor, 1])
            image = nibabel.Nifti1Image(ARRAY_XYZ, affine)
            image.header.set_xyzt_units(unit)
            nibabel.save(image, tmp_path / "a.nii")
            header = read_header(tmp_path / "a.nii")
            np.testing.assert_allclose(header.geometry.spacing_mm_xyz, (0.8, 1, 2), rtol=1e-6)

    def test_the_sform_takes_precedence_over_pixdim(self, tmp_path):
        header = read_header(_save(tmp_path / "a.nii", qform=0, pixdim=[1, 0.8, 1, 1.5, 1, 1, 1, 1]))
        assert _codes(header) == ["transforms-differ"]
        np.testing.assert_allclose(header.geometry.spacing_mm_xyz, (0.8, 1, 2), rtol=1e-6)

    def test_the_sform_takes_precedence_over_the_qform(self, tmp_path):
        image = nibabel.Nifti1Image(ARRAY_XYZ, AFFINE)
        other = AFFINE.copy()
        other[0, 3] += 5
        image.header.set_sform(AFFINE, code=1)
        image.header.set_qform(other, code=1)
        nibabel.save(image, tmp_path / "a.nii")
        header = read_header(tmp_path / "a.nii")
        assert _codes(header) == ["transforms-differ"]
        np.testing.assert_allclose(header.geometry.origin_mm_xyz, _lps(AFFINE, (0, 0, 0)), atol=1e-4)

    @pytest.mark.parametrize(("shear", "code"), [(0.002, "axes-straightened"), (0.02, "axes-straightened")])
    def test_slightly_sheared_axes_become_the_nearest_right_ones(self, tmp_path, shear, code):
        affine = np.diag([2.0, 2.0, 4.0, 1.0])
        affine[0, 1] = 2.0 * shear
        header = read_header(_save(tmp_path / "a.nii", affine=affine, qform=0))
        assert _codes(header) == [code]
        axes = np.reshape(header.geometry.direction, (3, 3))
        np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
        # The two axes share the correction: each turns by half of the angle.
        assert np.degrees(np.arccos(abs(axes[0, 0]))) == pytest.approx(np.degrees(shear) / 2, rel=0.01)
        middle = (np.array(ARRAY_XYZ.shape) - 1) / 2
        corners = header.geometry.corners_mm
        np.testing.assert_allclose(corners.mean(axis=0), _lps(affine, middle), atol=1e-4)

    def test_axes_far_from_right_angles_are_refused(self, tmp_path):
        affine = np.diag([2.0, 2.0, 4.0, 1.0])
        affine[0, 1] = 0.1
        with pytest.raises(VolumeError) as caught:
            read_header(_save(tmp_path / "a.nii", affine=affine, qform=0))
        assert caught.value.code == "bad-geometry"

    def test_without_a_valid_transform_the_orientation_is_unknown(self, tmp_path):
        header = read_header(_save(tmp_path / "a.nii", sform=0, qform=0))
        assert _codes(header) == ["orientation-unknown"]
        assert header.geometry.spacing_mm_xyz == pytest.approx((0.8, 1, 2))
        # nibabel's and TotalSegmentator's reading: the first axis leads to the left, the second to the front.
        assert header.geometry.direction == (1, 0, 0, 0, -1, 0, 0, 0, 1)
        assert [other.direction for other in header.alternatives] == [(1, 0, 0, 0, 1, 0, 0, 0, 1)]

    @pytest.mark.parametrize("pixdim", [[1, 0, 0, 0, 0, 0, 0, 0], [1, 0.8, float("nan"), 2, 1, 1, 1, 1]])
    def test_without_any_spacing_it_is_refused(self, tmp_path, pixdim):
        with pytest.raises(VolumeError) as caught:
            read_header(_save(tmp_path / "a.nii", sform=0, qform=0, pixdim=pixdim))
        assert caught.value.code == "no-spacing"

    def test_a_valid_sform_needs_no_pixdim(self, tmp_path):
        header = read_header(_save(tmp_path / "a.nii", qform=0, pixdim=[1, 0, 0, 0, 0, 0, 0, 0]))
        np.testing.assert_allclose(header.geometry.spacing_mm_xyz, (0.8, 1, 2), rtol=1e-6)

    @pytest.mark.parametrize(("qfac", "sign"), [(1, 1), (0, 1), (-1, -1), (5, 1)])
    def test_an_unusual_qfac_is_1(self, tmp_path, qfac, sign):
        path = _save(tmp_path / "a.nii", np.diag([0.8, 1, 2, 1.0]), sform=0, pixdim=[qfac, 0.8, 1, 2, 1, 1, 1, 1])
        header = read_header(path)
        assert _codes(header) == []
        np.testing.assert_allclose(header.geometry.direction, (-1, 0, 0, 0, -1, 0, 0, 0, sign), atol=1e-6)
        assert _lps(nibabel.load(path).affine, [4, 5, 6]) == pytest.approx(header.geometry.corners_mm[-1], abs=1e-4)

    @pytest.mark.parametrize("sform", [0, 1])
    def test_negative_spacings_are_made_positive_and_reported(self, tmp_path, sform):
        path = _save(tmp_path / "a.nii", sform=sform, pixdim=[-1, -0.8, 1, -2, 1, 1, 1, 1])
        header = read_header(path)
        assert _codes(header) == ["transforms-differ"]
        assert _lps(nibabel.load(path).affine, [4, 5, 6]) == pytest.approx(header.geometry.corners_mm[-1], abs=1e-4)
