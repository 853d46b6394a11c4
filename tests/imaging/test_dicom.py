"""A folder of DICOM slices as one volume, written by GDCM."""

from __future__ import annotations

import pickle

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging.dicom import find_dicom, is_dicom_folder
from nnunet_femur.imaging.dicom_voxels import read_series
from nnunet_femur.imaging.geometry import Geometry, VolumeError
from tests.refusing import refused

ARRAY_ZYX = np.random.default_rng(0).integers(-900, 1500, (5, 6, 7)).astype(np.int16)


@pytest.fixture
def folder(tmp_path, write_slices):
    def make(**options):
        return write_slices(tmp_path / "ct", ARRAY_ZYX, **options)

    return make


def _read(path):
    return read_series(path, find_dicom(path))


class TestRead:
    def test_slices_become_a_volume_at_its_position(self, folder):
        image = _read(folder())
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), ARRAY_ZYX)
        assert Geometry.of(image) == Geometry(
            (7, 6, 5), (20.0, 21.0, 60.0), (-10.0, 20.5, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
        )

    def test_slices_are_sorted_by_position_and_not_by_name(self, folder):
        image = _read(folder(z_mm=(240, 180, 120, 60, 0)))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), ARRAY_ZYX[::-1])
        assert image.GetOrigin() == (-10.0, 20.5, 0.0)

    def test_slope_and_intercept_are_applied(self, folder, tmp_path, write_slices):
        series = find_dicom(folder())
        assert not series.rescaled
        stored = write_slices(tmp_path / "b", ARRAY_ZYX, t0028_1052="-1024", t0028_1053="1")
        raw = pydicom.dcmread(stored / "slice000.dcm").pixel_array
        np.testing.assert_array_equal(raw, ARRAY_ZYX[0] + 1024)
        assert find_dicom(stored).rescaled
        np.testing.assert_array_equal(sitk.GetArrayFromImage(_read(stored)), ARRAY_ZYX)

    def test_coronal_slices(self, tmp_path, write_slices):
        path = write_slices(tmp_path / "b", ARRAY_ZYX, t0020_0037="1\\0\\0\\0\\0\\-1", t0020_0032="-10\\{z}\\30")
        image = _read(path)
        assert image.GetSpacing() == (20.0, 21.0, 60.0)
        for index in ((0, 0, 0), (2, 3, 4)):
            assert image[index] == ARRAY_ZYX[index[::-1]]
            x, y, z = index
            assert image.TransformIndexToPhysicalPoint(index) == pytest.approx(
                (-10 + 20 * x, 60 * y * 0 + 60 * z, 30 - 21 * y)
            )

    def test_geometry_is_the_readers_own(self, folder):
        series = find_dicom(folder())
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames([str(file) for file in series.files])
        assert series.geometry.differences(Geometry.of(reader.Execute()), tolerance_voxels=1e-6) == []

    def test_slightly_uneven_slices_are_read_at_their_mean_distance(self, folder):
        series = find_dicom(folder(z_mm=(0, 60, 123, 180, 240)))
        assert series.geometry.spacing_mm_xyz[2] == 60
        assert series.distances_mm == (60, 63, 57, 60)

    def test_files_that_are_not_slices_are_ignored(self, folder):
        path = folder()
        (path / "README.txt").write_text("x")
        (path / ".DS_Store").write_bytes(b"\0")
        assert is_dicom_folder(path)
        assert len(find_dicom(path).files) == 5

    def test_nothing_of_the_header_is_kept(self, folder):
        assert _read(folder()).GetMetaDataKeys() == ()


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "code", "named"),
        [
            (
                {"z_mm": (0, 60, 180, 240, 300)},
                "slice-gap",
                ("slice001.dcm", "slice002.dcm", "120 mm"),
            ),
            (
                {"z_mm": (0, 60, 60, 120, 180)},
                "slices-uneven",
                ("slice001.dcm", "slice002.dcm"),
            ),
            ({"z_mm": (0, 60, 135, 180, 240)}, "slices-uneven", ("45 to 75 mm",)),
            ({"t0020_0032": "-10\\{z}\\{z}"}, "slices-uneven", ("mm",)),
        ],
    )
    def test_slices_that_are_not_an_even_grid(self, folder, options, code, named):
        with refused(code, *named) as caught:
            find_dicom(folder(**options))
        assert "Rossi" not in str(caught.value)

    @pytest.mark.parametrize("field", ["ImagePositionPatient", "ImageOrientationPatient"])
    def test_slices_without_a_position(self, folder, field):
        path = folder()
        slice_ = pydicom.dcmread(path / "slice003.dcm")
        del slice_[field]
        slice_.save_as(path / "slice003.dcm")
        with refused("dicom-attribute", "slice003.dcm", field):
            find_dicom(path)

    def test_two_series(self, folder, tmp_path, write_slices):
        path = folder()
        write_slices(path, ARRAY_ZYX[:2], series="1.2.9", first=100)
        with refused("several-series", "2 DICOM series", "5 slices", "slice000.dcm") as caught:
            find_dicom(path)
        assert "1.2.9" not in str(caught.value)

    def test_sizes_that_differ(self, folder, write_slices):
        path = folder()
        write_slices(path, np.zeros((1, 3, 3), np.int16), z_mm=(300,), first=5)
        with pytest.raises(VolumeError) as caught:
            find_dicom(path)
        assert caught.value.code in ("slices-uneven", "several-series")

    @pytest.mark.parametrize("kept", [200, 600])
    def test_a_slice_that_is_cut_off(self, folder, kept):
        """Nothing else would show that the last slice of a series is lost."""
        path = folder()
        last = path / "slice004.dcm"
        last.write_bytes(last.read_bytes()[:kept])
        with refused("unreadable", "slice004.dcm"):
            _read(path)

    def test_pixels_that_are_cut_off(self, folder):
        path = folder()
        last = path / "slice002.dcm"
        last.write_bytes(last.read_bytes()[:-30])
        with pytest.raises(VolumeError):
            _read(path)

    def test_one_slice(self, tmp_path, write_slices):
        with refused("not-3d", tmp_path / "one"):
            find_dicom(write_slices(tmp_path / "one", ARRAY_ZYX[:1]))

    def test_no_slices(self, tmp_path):
        assert not is_dicom_folder(tmp_path)
        with refused("unreadable", tmp_path):
            find_dicom(tmp_path)

    def test_the_error_can_be_pickled(self, tmp_path):
        with pytest.raises(VolumeError) as caught:
            find_dicom(tmp_path)
        copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
        assert (str(copy), copy.code) == (str(caught.value), caught.value.code)


def test_nothing_of_the_headers_is_printed(folder, capfd):
    path = folder(z_mm=(0, 60, 120.5, 180, 240), t0008_0012="Rossi", t0020_0013="x")
    _read(path)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
