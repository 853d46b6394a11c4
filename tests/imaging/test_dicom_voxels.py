"""Values of DICOM slices: the same as GDCM's where it is right, and right where it is not."""

from __future__ import annotations

import io
import re

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from nnunet_femur.imaging.geometry import Geometry, VolumeError
from nnunet_femur.imaging.reading import read_ct, read_ct_header
from tests.dicom_writing import change, ct_slice, enhanced_ct, save, write_ct
from tests.refusing import refused

HU_ZYX = np.random.default_rng(0).integers(-900, 1500, (5, 6, 8)).astype(np.int16)
STORED_ZYX = (HU_ZYX + 1024).astype(np.int16)


def _values(path) -> np.ndarray:
    return sitk.GetArrayFromImage(read_ct(path).image)


def _gdcm(folder) -> np.ndarray:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(file) for file in sorted(folder.iterdir())])
    return sitk.GetArrayFromImage(reader.Execute())


class TestStored:
    @pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32, np.uint32])
    def test_types_without_rescaling(self, tmp_path, kind):
        stored = STORED_ZYX.astype(kind)
        bits = stored.dtype.itemsize * 8
        folder = write_ct(tmp_path / "ct", stored, bits=bits, RescaleIntercept=0)
        values = _values(folder)
        assert values.dtype == kind
        np.testing.assert_array_equal(values, stored)

    @pytest.mark.parametrize(("bits", "kind"), [(12, np.uint16), (12, np.int16), (16, np.uint16), (16, np.int16)])
    def test_types_with_an_intercept(self, tmp_path, bits, kind):
        folder = write_ct(tmp_path / "ct", (STORED_ZYX // 2).astype(kind), bits=bits)
        values = _values(folder)
        np.testing.assert_array_equal(values, STORED_ZYX // 2 - 1024)
        assert values.dtype == _gdcm(folder).dtype

    def test_signed_values_of_twelve_bits(self, tmp_path):
        """The sign is in the bit 11: the upper four bits are not part of the value, and may be an overlay."""
        signed = (HU_ZYX // 2).astype(np.int16)
        folder = write_ct(tmp_path / "ct", signed & np.int16(0x0FFF), bits=12, RescaleIntercept=0)
        np.testing.assert_array_equal(_values(folder), signed)
        np.testing.assert_array_equal(_values(folder), _gdcm(folder))

    def test_an_overlay_in_unused_bits(self, tmp_path):
        stored = (STORED_ZYX.astype(np.uint16)) | np.uint16(0x8000)
        folder = write_ct(tmp_path / "ct", stored, bits=12)
        np.testing.assert_array_equal(_values(folder), HU_ZYX)

    def test_padding_outside_of_the_body(self, tmp_path):
        stored = STORED_ZYX.copy()
        stored[:, 0] = -2000
        folder = write_ct(tmp_path / "ct", stored, PixelPaddingValue=-2000)
        assert (_values(folder)[:, 0] == -3024).all()

    def test_a_photometric_interpretation_is_for_the_display(self, tmp_path):
        folder = write_ct(tmp_path / "ct", STORED_ZYX, PhotometricInterpretation="MONOCHROME1")
        np.testing.assert_array_equal(_values(folder), HU_ZYX)


class TestRescaled:
    def test_each_slice_by_its_own_slope_and_intercept(self, tmp_path):
        slopes, intercepts = (1, 2, 0.5, 1, 0.25), (-1024, 0, -3.5, 7, -1000)
        folder = write_ct(
            tmp_path / "ct",
            STORED_ZYX,
            RescaleSlope=lambda index: slopes[index],
            RescaleIntercept=lambda index: intercepts[index],
        )
        expected = STORED_ZYX * np.reshape(slopes, (5, 1, 1)) + np.reshape(intercepts, (5, 1, 1))
        np.testing.assert_array_equal(_values(folder), expected)

    def test_whole_slopes_give_whole_numbers(self, tmp_path):
        folder = write_ct(tmp_path / "ct", STORED_ZYX, RescaleSlope=lambda index: index + 1, RescaleIntercept=-5)
        values = _values(folder)
        assert values.dtype == np.int32
        np.testing.assert_array_equal(values, STORED_ZYX.astype(int) * np.arange(1, 6).reshape(5, 1, 1) - 5)


class TestTransferSyntaxes:
    @pytest.mark.parametrize(
        "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
    )
    def test_uncompressed_and_deflated(self, tmp_path, syntax):
        for index, plane in enumerate(STORED_ZYX):
            made = ct_slice(plane.astype(">i2" if syntax == ExplicitVRBigEndian else "<i2"), 60.0 * index)
            made.file_meta.TransferSyntaxUID = syntax
            save(made, tmp_path / "ct" / f"IM{index}")
        np.testing.assert_array_equal(_values(tmp_path / "ct"), HU_ZYX)

    def test_run_lengths(self, tmp_path):
        for index, plane in enumerate(STORED_ZYX):
            made = ct_slice(plane, 60.0 * index)
            made.compress(RLELossless)
            save(made, tmp_path / "ct" / f"IM{index}")
        np.testing.assert_array_equal(_values(tmp_path / "ct"), HU_ZYX)

    @pytest.mark.parametrize("name", ["JPEG2000 lossless", "JPEG lossless", "JPEG-LS"])
    def test_compressed_by_gdcm(self, tmp_path, name):
        import gdcm

        syntax = {
            "JPEG2000 lossless": gdcm.TransferSyntax.JPEG2000Lossless,
            "JPEG lossless": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
            "JPEG-LS": gdcm.TransferSyntax.JPEGLSLossless,
        }[name]
        rng = np.random.default_rng(1)
        stored = rng.integers(0, 4095, (3, 64, 64)).astype(np.uint16)
        write_ct(tmp_path / "raw", stored, bits=12)
        (tmp_path / "ct").mkdir()
        for file in sorted((tmp_path / "raw").iterdir()):
            reader = gdcm.ImageReader()
            reader.SetFileName(str(file))
            assert reader.Read()
            changer = gdcm.ImageChangeTransferSyntax()
            changer.SetTransferSyntax(gdcm.TransferSyntax(syntax))
            changer.SetInput(reader.GetImage())
            assert changer.Change()
            writer = gdcm.ImageWriter()
            writer.SetFile(reader.GetFile())
            writer.SetImage(changer.GetOutput())
            writer.SetFileName(str(tmp_path / "ct" / file.name))
            assert writer.Write()
        np.testing.assert_array_equal(_values(tmp_path / "ct"), stored.astype(int) - 1024)

    def test_a_syntax_that_cannot_be_decoded_is_named(self, tmp_path):
        for index, plane in enumerate(STORED_ZYX):
            made = ct_slice(plane, 60.0 * index)
            made.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.201"
            made.PixelData = encapsulate([b"\xff\x4f" + bytes(40)])
            save(made, tmp_path / "ct" / f"IM{index}")
        with refused("unreadable", "High-Throughput JPEG 2000"):
            read_ct(tmp_path / "ct")

    def test_without_preamble(self, tmp_path):
        write_ct(tmp_path / "ct", STORED_ZYX)
        for file in (tmp_path / "ct").iterdir():
            made = pydicom.dcmread(file)
            del made.file_meta
            content = io.BytesIO()
            made.save_as(content, implicit_vr=False, little_endian=True)
            file.write_bytes(content.getvalue())
        np.testing.assert_array_equal(_values(tmp_path / "ct"), HU_ZYX)


class TestEnhanced:
    @pytest.mark.parametrize("order", [range(5), range(4, -1, -1), (3, 0, 4, 1, 2)])
    def test_frames_by_position(self, tmp_path, order):
        path = save(enhanced_ct(STORED_ZYX, order), tmp_path / "L1_CT.dcm")
        volume = read_ct(path)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(volume.image), HU_ZYX)
        assert Geometry.of(volume.image) == Geometry(
            (8, 6, 5), (20.0, 21.0, 60.0), (-10.0, 20.5, 5.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
        )
        assert volume.header.findings == ()
        assert volume.header.rescaled

    def test_rescaling_of_each_frame(self, tmp_path):
        intercepts = np.array([-1024, -1000, 0, 5, -7])
        made = enhanced_ct(STORED_ZYX, (3, 0, 4, 1, 2), intercepts=intercepts, shared_rescale=False)
        values = _values(save(made, tmp_path / "ct"))
        np.testing.assert_array_equal(values, STORED_ZYX + intercepts.reshape(5, 1, 1))

    def test_one_frame_in_each_file(self, tmp_path):
        for index in (3, 0, 4, 1, 2):
            made = enhanced_ct(STORED_ZYX, [index])
            save(made, tmp_path / "ct" / f"IM{9 - index}")
        np.testing.assert_array_equal(_values(tmp_path / "ct"), HU_ZYX)

    def test_compressed_frames(self, tmp_path):
        made = enhanced_ct(STORED_ZYX, (3, 0, 4, 1, 2))
        made.compress(RLELossless)
        np.testing.assert_array_equal(_values(save(made, tmp_path / "ct")), HU_ZYX)

    def test_beside_other_files(self, tmp_path):
        save(enhanced_ct(STORED_ZYX, range(5)), tmp_path / "ct" / "a")
        np.testing.assert_array_equal(_values(tmp_path / "ct"), HU_ZYX)
        other = enhanced_ct(STORED_ZYX, range(5))
        other.SeriesInstanceUID = "1.2.3.5"
        save(other, tmp_path / "ct" / "b")
        with refused("several-series", tmp_path / "ct") as caught:
            read_ct(tmp_path / "ct")
        assert re.search(r"\b[ab]\b", caught.value.remedy), "one of the files is named"

    def test_frames_without_positions(self, tmp_path):
        made = enhanced_ct(STORED_ZYX, range(5))
        del made.PerFrameFunctionalGroupsSequence[2]
        with pytest.raises(VolumeError) as caught:
            read_ct_header(save(made, tmp_path / "ct"))
        assert caught.value.code == "dicom-attribute"

    def test_a_localizer_of_frames(self, tmp_path):
        made = enhanced_ct(STORED_ZYX, range(5))
        frame_type = pydicom.Dataset()
        frame_type.FrameType = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]
        made.SharedFunctionalGroupsSequence[0].CTImageFrameTypeSequence = [frame_type]
        with pytest.raises(VolumeError) as caught:
            read_ct_header(save(made, tmp_path / "ct"))
        assert caught.value.code == "not-ct"


class TestDamaged:
    @pytest.mark.parametrize("cut", [1, 30, 60])
    def test_pixels_that_are_cut_off(self, tmp_path, cut):
        folder = write_ct(tmp_path / "ct", STORED_ZYX)
        file = folder / "IM0002"
        file.write_bytes(file.read_bytes()[:-cut])
        with refused("unreadable", "IM0002"):
            read_ct(folder)

    def test_it_is_found_without_reading_voxels(self, tmp_path):
        folder = write_ct(tmp_path / "ct", STORED_ZYX)
        file = folder / "IM0002"
        file.write_bytes(file.read_bytes()[:-30])
        with refused("unreadable", "IM0002"):
            read_ct_header(folder)

    def test_no_pixels(self, tmp_path):
        folder = write_ct(tmp_path / "ct", STORED_ZYX)
        change(folder / "IM0002", PixelData=None)
        with refused("unreadable", "IM0002"):
            read_ct(folder)

    def test_a_size_that_its_pixels_do_not_have(self, tmp_path):
        folder = write_ct(tmp_path / "ct", STORED_ZYX, Rows=60000, Columns=60000)
        with pytest.raises(VolumeError):
            read_ct(folder)
