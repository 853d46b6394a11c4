"""Voxels of one case in the dataset's form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.conversion.cases import Case
from nnunet_femur.conversion.options import ConversionOptions
from nnunet_femur.conversion.voxels import read_case
from nnunet_femur.imaging.geometry import Geometry

CASE = Case("L442", "442", "left", Path("Images/L442_CT.nrrd"), (Path("GoldStandard/L442_GS.nrrd"),))
RAS = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture
def pair(hospital):
    return hospital.add("L442")


def _codes(findings):
    return [(finding.code, finding.severity.value) for finding in findings]


def _at(image: sitk.Image, point_mm) -> float:
    return image[image.TransformPhysicalPointToIndex(point_mm)]


class TestGeometry:
    def test_lps_becomes_ras_and_every_point_keeps_its_value(self, pair):
        source_image = sitk.ReadImage(str(pair.folder / CASE.image))
        source_mask = sitk.ReadImage(str(pair.folder / CASE.mask))
        voxels = read_case(pair.folder, CASE)
        assert voxels.image.GetDirection() == RAS
        assert voxels.image.GetOrigin() == pytest.approx((-10 + 6 * 20, 20.5 + 5 * 21, -300.25))
        assert Geometry.of(voxels.image) == Geometry.of(voxels.mask)
        for index in np.ndindex(7, 6, 5):
            point = source_image.TransformIndexToPhysicalPoint(index)
            assert _at(voxels.image, point) == source_image[index]
            assert _at(voxels.mask, point) == source_mask[index]

    def test_array_of_the_written_ct_is_flipped_in_x_and_y(self, pair):
        written = sitk.GetArrayFromImage(read_case(pair.folder, CASE).image)
        np.testing.assert_array_equal(written, pair.image()[:, ::-1, ::-1])

    @pytest.mark.parametrize("orientation", ["RAS", "SLA", "PIR", "LAI"])
    def test_a_mask_along_other_axes_covers_the_same_place(self, pair, orientation):
        expected = read_case(pair.folder, CASE)
        path = str(pair.folder / CASE.mask)
        sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(path), orientation), path)
        turned = read_case(pair.folder, CASE)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(turned.mask), sitk.GetArrayFromImage(expected.mask))
        assert Geometry.of(turned.mask) == Geometry.of(turned.image)

    def test_image_turned_by_180_degrees_about_ap(self, pair):
        expected = read_case(pair.folder, CASE)
        x, y, z = pair.origin_mm_xyz
        turned_zyx = pair.image()[::-1, :, ::-1]
        origin = (x + 6 * 20, y, z + 4 * 60)
        pair.write(CASE.image.as_posix(), turned_zyx, origin=origin, direction=(-1, 0, 0, 0, 1, 0, 0, 0, -1))
        voxels = read_case(pair.folder, CASE)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(voxels.image), sitk.GetArrayFromImage(expected.image))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(voxels.mask), sitk.GetArrayFromImage(expected.mask))
        assert voxels.image.GetOrigin() == pytest.approx(expected.image.GetOrigin())

    def test_the_mask_takes_the_images_geometry(self, pair):
        x, y, z = pair.origin_mm_xyz
        pair.write(CASE.mask.as_posix(), pair.mask(), origin=(x + 1e-4, y, z))
        voxels = read_case(pair.folder, CASE)
        assert Geometry.of(voxels.mask) == Geometry.of(voxels.image)

    @pytest.mark.parametrize("orientation", ["LPS", "RAS", "RAI", "LPI", "SLA", "PIR", "ASL"])
    @pytest.mark.parametrize("padded", [False, True])
    def test_every_stored_order_is_written_alike(self, pair, orientation, padded):
        """Turned in place or in a copy, with an odd and an even number of slices."""
        for shape_zyx in ((5, 6, 7), (4, 6, 7)):
            array = np.random.default_rng(0).integers(-900, 1500, shape_zyx).astype(np.int16)
            array[0] = -1024 if padded else array[0]
            mask = np.zeros(shape_zyx, np.uint8)
            mask[1:3, 2:5, 1:4] = 1
            expected = sitk.DICOMOrient(sitk.ReadImage(str(pair.write("a.nrrd", array))), "RAS")
            stored = sitk.DICOMOrient(expected, orientation)
            sitk.WriteImage(stored, str(pair.folder / CASE.image))
            pair.write(CASE.mask.as_posix(), mask)
            voxels = read_case(pair.folder, CASE)
            wanted = sitk.GetArrayFromImage(expected)
            np.testing.assert_array_equal(
                sitk.GetArrayFromImage(voxels.image), np.where(wanted == -1024, -1000, wanted)
            )
            assert Geometry.of(voxels.image).differences(Geometry.of(expected), tolerance_voxels=1e-9) == []
            np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.DICOMOrient(voxels.mask, "LPS")), mask)

    def test_the_way_back_is_kept(self, pair):
        assert read_case(pair.folder, CASE).source_geometry.origin_mm_xyz == pair.origin_mm_xyz

    def test_volume(self, pair):
        assert read_case(pair.folder, CASE).volume_ml == pytest.approx((2 * 3 * 3 + 1) * 20 * 21 * 60 / 1000)

    def test_nothing_of_the_source_header_stays(self, pair):
        image = sitk.ReadImage(str(pair.folder / CASE.image))
        image.SetMetaData("PatientName", "Somebody")
        sitk.WriteImage(image, str(pair.folder / CASE.image))
        assert b"Somebody" in (pair.folder / CASE.image).read_bytes()
        assert read_case(pair.folder, CASE).image.GetMetaDataKeys() == ()


class TestImage:
    def _read(self, pair, array):
        pair.write(CASE.image.as_posix(), array)
        voxels = read_case(pair.folder, CASE)
        return sitk.GetArrayFromImage(sitk.DICOMOrient(voxels.image, "LPS")), voxels

    def test_int16_passes_unchanged(self, pair):
        array, voxels = self._read(pair, pair.image())
        assert array.dtype == np.int16
        np.testing.assert_array_equal(array, pair.image())
        assert voxels.findings == ()

    def test_padding_becomes_air(self, pair):
        source = pair.image()
        source[0] = -3024
        source[1, 0, 0] = -3023
        array, voxels = self._read(pair, source)
        assert (array[0] == -1000).all()
        assert array[1, 0, 0] == -3023
        assert _codes(voxels.findings) == [("padding", "note")]
        assert "42 voxels" in voxels.findings[0].problem

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
    def test_whole_numbers_of_another_type(self, pair, dtype):
        array, voxels = self._read(pair, pair.image(dtype=dtype))
        assert array.dtype == np.int16
        np.testing.assert_array_equal(array, pair.image())
        assert voxels.findings == ()

    def test_fractions_are_rounded_and_far_values_clipped(self, pair):
        source = pair.image(dtype=np.float64)
        source[0, 0, :4] = (10.4, -10.6, 40000.0, -50000.0)
        array, voxels = self._read(pair, source)
        assert array[0, 0, :4].tolist() == [10, -11, 32767, -32768]
        assert _codes(voxels.findings) == [
            ("image-rounded", "note"),
            ("image-clipped", "warning"),
            ("metal", "warning"),
        ]
        assert "2 voxels" in voxels.findings[0].problem
        assert "2 values" in voxels.findings[1].problem

    def test_unsigned_beyond_int16(self, pair):
        source = pair.image(dtype=np.int32) - 5
        source[0] = 40000
        array, voxels = self._read(pair, source)
        assert (array[0] == 32767).all()
        assert _codes(voxels.findings) == [("image-clipped", "warning"), ("metal", "warning")]

    @pytest.mark.parametrize(("padding_hu", "written"), [(-1000, -1000), (-1024, -1024), (0, 0), (None, -2000)])
    def test_what_padding_becomes_is_an_option(self, pair, padding_hu, written):
        source = pair.image()
        source[0] = -2000
        pair.write(CASE.image.as_posix(), source)
        voxels = read_case(pair.folder, CASE, ConversionOptions(padding_hu=padding_hu))
        assert (sitk.GetArrayFromImage(sitk.DICOMOrient(voxels.image, "LPS"))[0] == written).all()
        assert voxels.findings[0].code == "padding"

    def test_air_that_happens_to_have_the_value_of_padding_stays(self, pair):
        source = pair.image()
        source[0, 0, :4] = (-1025, -1024, -1023, -1023)
        array, voxels = self._read(pair, source)
        assert array[0, 0, :4].tolist() == [-1025, -1024, -1023, -1023]
        assert voxels.findings == ()

    def test_two_kinds_of_padding(self, pair):
        source = pair.image()
        source[0], source[4] = -3024, -1024
        array, voxels = self._read(pair, source)
        assert (array[[0, 4]] == -1000).all()
        assert all(each in voxels.findings[0].problem for each in ("-3024", "-1024", "84 voxels"))

    def test_nan_stops(self, pair):
        source = pair.image(dtype=np.float32)
        source[0, 0, :2] = (np.nan, np.inf)
        pair.write(CASE.image.as_posix(), source)
        (finding,) = read_case(pair.folder, CASE)
        assert (finding.code, finding.severity.value) == ("not-finite", "error")
        assert "2 values" in finding.problem


class TestMask:
    def _read(self, pair, array):
        pair.write(CASE.mask.as_posix(), array)
        voxels = read_case(pair.folder, CASE)
        return sitk.GetArrayFromImage(sitk.DICOMOrient(voxels.mask, "LPS")), _codes(voxels.findings)

    @pytest.mark.parametrize("off", [0.0, 9e-4, -9e-4])
    def test_label_2_alone_is_femur_too(self, pair, off):
        array, codes = self._read(pair, pair.mask() * 2 if not off else (pair.mask() * 2.0 + off) * (pair.mask() > 0))
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, pair.mask())
        assert codes == [*([("mask-type", "note")] if off else []), ("mask-label-2", "note")]

    def test_labels_1_and_2_are_unclear(self, pair):
        """2 may be the acetabulum, or the other femur."""
        source = pair.mask()
        source[1] *= 2
        pair.write(CASE.mask.as_posix(), source)
        (finding,) = read_case(pair.folder, CASE)
        assert (finding.code, finding.severity.value) == ("mask-labels", "error")
        assert "--labels 1 " in finding.remedy
        assert "--labels 1,2 " in finding.remedy

    def test_float64(self, pair):
        array, codes = self._read(pair, pair.mask(dtype=np.float64))
        np.testing.assert_array_equal(array, pair.mask())
        assert codes == [("mask-type", "note")]

    def test_another_label_alone_is_the_femur(self, pair):
        array, codes = self._read(pair, pair.mask() * 255)
        np.testing.assert_array_equal(array, pair.mask())
        assert codes == [("mask-label-other", "note")]

    @pytest.mark.parametrize("label", [2, 3, -1, 0.5, 1.002])
    def test_unknown_labels_are_an_error(self, pair, label):
        source = pair.mask(dtype=np.float32 if label % 1 else np.int16)
        source[1, 2, 1] = label
        pair.write(CASE.mask.as_posix(), source)
        (finding,) = read_case(pair.folder, CASE)
        assert (finding.code, finding.severity.value) == ("mask-labels", "error")

    @pytest.mark.parametrize(("labels", "femur"), [((1,), 18), ((3,), 1), ((1, 3), 19), ((3, 7), 1)])
    def test_labels_that_are_asked_for(self, pair, labels, femur):
        source = pair.mask()
        source[1, 2, 1] = 3
        pair.write(CASE.mask.as_posix(), source)
        voxels = read_case(pair.folder, CASE, ConversionOptions(labels=labels))
        assert sitk.GetArrayViewFromImage(voxels.mask).sum() == femur
        assert ("labels-left-out" in [finding.code for finding in voxels.findings]) is (labels != (1, 3))

    def test_none_of_the_labels_is_there(self, pair):
        (finding,) = read_case(pair.folder, CASE, ConversionOptions(labels=(7,)))
        assert finding.code == "empty-mask"

    def test_several_masks_are_joined(self, pair):
        left, right = pair.mask(), np.zeros_like(pair.mask())
        right[2:4, 1:4, 3:5] = 1
        pair.write("GoldStandard/other.nrrd", right)
        case = replace(CASE, masks=(*CASE.masks, Path("GoldStandard/other.nrrd")))
        voxels = read_case(pair.folder, case)
        written = sitk.GetArrayFromImage(sitk.DICOMOrient(voxels.mask, "LPS"))
        np.testing.assert_array_equal(written, left | right)
        assert voxels.volume_ml == pytest.approx(int(written.sum()) * 25.2)

    def test_empty_stops(self, pair):
        pair.write(CASE.mask.as_posix(), pair.mask() * 0)
        (finding,) = read_case(pair.folder, CASE)
        assert (finding.code, finding.severity.value, finding.file) == ("empty-mask", "error", CASE.mask.as_posix())


class TestTruncated:
    @pytest.mark.parametrize("file", [CASE.image, CASE.mask])
    def test_it_is_named(self, pair, file):
        path = pair.folder / file
        path.write_bytes(path.read_bytes()[:-20])
        (finding,) = read_case(pair.folder, CASE)
        assert (finding.code, finding.file) == ("unreadable", file.as_posix())


class TestErrorsOfMasks:
    @pytest.mark.parametrize("mask", ["values", "labels", "halves"])
    def test_one_fault_is_one_error(self, pair, mask):
        path = str(pair.folder / CASE.mask)
        image = sitk.ReadImage(path)
        whole = sitk.GetArrayFromImage(image).astype(np.int16)
        if mask == "values":
            values = np.arange(whole.size, dtype=np.int16).reshape(whole.shape) * 2 - 200
        else:
            values = -whole if mask == "labels" else whole * 0.5
        changed = sitk.GetImageFromArray(values.astype(np.float32))
        changed.CopyInformation(image)
        sitk.WriteImage(changed, path)
        assert _codes(read_case(pair.folder, CASE)) == [("mask-labels", "error")]
