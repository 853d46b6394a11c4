"""The slices of one volume among DICOM files: joined, left out and refused."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.uid import generate_uid

from nnunet_femur.imaging.geometry import Geometry, VolumeError
from nnunet_femur.imaging.reading import read_ct, read_ct_header, read_mask
from tests.dicom_writing import (
    BASIC_TEXT_SR,
    MR,
    PATIENT,
    RT_STRUCTURE_SET,
    SECONDARY_CAPTURE,
    change,
    ct_slice,
    dataset,
    save,
    write_ct,
)
from tests.refusing import names

HU_ZYX = np.random.default_rng(0).integers(-900, 1500, (5, 6, 7)).astype(np.int16)
STORED_ZYX = (HU_ZYX + 1024).astype(np.int16)
GEOMETRY = Geometry((7, 6, 5), (20.0, 21.0, 60.0), (-10.0, 20.5, 5.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


def _codes(volume) -> list[str]:
    return [found.code for found in volume.header.findings]


def _assert_whole(volume) -> None:
    np.testing.assert_array_equal(sitk.GetArrayFromImage(volume.image), HU_ZYX)
    assert Geometry.of(volume.image) == volume.header.geometry == GEOMETRY


def _refused(path, **options) -> VolumeError:
    with pytest.raises(VolumeError) as caught:
        read_ct(path, **options)
    assert PATIENT.partition("^")[0] not in str(caught.value)
    assert "1.2.3" not in str(caught.value)
    return caught.value


class TestFolders:
    def test_a_plain_series_has_no_findings(self, tmp_path):
        volume = read_ct(write_ct(tmp_path / "ct", STORED_ZYX))
        _assert_whole(volume)
        assert _codes(volume) == []

    def test_an_export_with_folders_for_study_and_series(self, tmp_path):
        write_ct(tmp_path / "ct" / "ST1" / "SE1", STORED_ZYX)
        _assert_whole(read_ct(tmp_path / "ct"))

    def test_a_series_in_two_folders(self, tmp_path):
        write_ct(tmp_path / "ct" / "1", STORED_ZYX)
        (tmp_path / "ct" / "2").mkdir()
        for name in ("IM0003", "IM0001"):
            (tmp_path / "ct" / "1" / name).rename(tmp_path / "ct" / "2" / name)
        _assert_whole(read_ct(tmp_path / "ct"))

    def test_files_that_are_not_part_of_the_ct_are_left_out(self, tmp_path):
        folder = write_ct(tmp_path / "ct", STORED_ZYX)
        save(dataset(RT_STRUCTURE_SET, Modality="RTSTRUCT"), folder / "RS1")
        save(dataset(BASIC_TEXT_SR, Modality="SR"), folder / "SR1")
        save(ct_slice(STORED_ZYX[0], 0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), folder / "SE0" / "IM0")
        save(ct_slice(STORED_ZYX[0], 0, SOPClassUID=MR, Modality="MR"), folder / "MR1")
        save(ct_slice(STORED_ZYX[0], 0, SOPClassUID=SECONDARY_CAPTURE, ImagePositionPatient=None), folder / "SC1")
        volume = read_ct(folder)
        _assert_whole(volume)
        assert _codes(volume) == ["dicom-left-out"]
        problem = volume.header.findings[0].problem
        for word in ("RT Structure Set", "Basic Text SR", "localizer", "MR Image", "Secondary Capture"):
            assert word in problem

    @pytest.mark.parametrize("series", ["1.2.3.4", None])
    def test_localizers_that_are_not_marked(self, tmp_path, series):
        stored = np.concatenate([STORED_ZYX, STORED_ZYX])
        uid = series or (lambda _: generate_uid())
        folder = write_ct(tmp_path / "ct", stored, SeriesInstanceUID=uid)
        coronal = {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1], "SeriesInstanceUID": "1.2.3.7"}
        save(ct_slice(STORED_ZYX[0], 0, **coronal), folder / "a")
        save(ct_slice(STORED_ZYX[0], 7, **coronal), folder / "b")
        volume = read_ct(folder)
        assert volume.image.GetSize() == (7, 6, 10)
        assert _codes(volume) == ["dicom-left-out"] + ([] if series else ["dicom-joined"])
        for number in range(3):
            save(ct_slice(STORED_ZYX[0], 20 + number, **coronal), folder / f"c{number}")
        assert _refused(folder).code == "several-series"

    def test_copies_are_left_out(self, tmp_path):
        folder = write_ct(tmp_path / "ct", STORED_ZYX)
        shutil.copy(folder / "IM0002", folder / "IM0002 (1)")
        volume = read_ct(folder)
        _assert_whole(volume)
        assert _codes(volume) == ["dicom-left-out"]

    def test_two_slices_at_the_same_position_are_not_copies(self, tmp_path):
        folder = write_ct(tmp_path / "ct", STORED_ZYX)
        shutil.copy(folder / "IM0002", folder / "other")
        change(folder / "other", RescaleIntercept=-1000)
        assert _refused(folder).code == "slices-uneven"

    @pytest.mark.parametrize("content", [b"", bytes(3000)])
    def test_an_empty_last_slice_is_an_error(self, tmp_path, content):
        folder = write_ct(tmp_path / "ct", STORED_ZYX)
        (folder / "IM0004").write_bytes(content)
        error = _refused(folder)
        assert error.code == "unreadable"
        assert "IM0004" in error.problem

    def test_other_empty_files_are_ignored(self, tmp_path):
        folder = write_ct(tmp_path / "ct", STORED_ZYX)
        for name in ("VERSION", "readme.txt", "LOCKFILE"):
            (folder / name).write_bytes(b"")
        _assert_whole(read_ct(folder))

    @pytest.mark.parametrize(("step_mm", "codes"), [(0.1, []), (3.0, ["slice-distance"])])
    def test_slices_that_are_shifted_by_a_part_of_a_voxel_are_reported(self, tmp_path, step_mm, codes):
        folder = write_ct(
            tmp_path / "ct", STORED_ZYX, ImagePositionPatient=lambda n: [-10.0 + n * step_mm, 20.5, 5.0 + 60 * n]
        )
        assert [found.code for found in read_ct_header(folder).findings] == codes

    def test_slices_at_uneven_distances_are_reported_by_every_reader(self, tmp_path):
        z_mm = (5.0, 65.0, 128.0, 185.0, 245.0)
        folder = write_ct(tmp_path / "ct", STORED_ZYX, ImagePositionPatient=lambda n: [-10.0, 20.5, z_mm[n]])
        volume = read_ct(folder)
        assert _codes(volume) == ["slice-distance"]
        assert volume.header.geometry == GEOMETRY

    def test_two_series_are_listed(self, tmp_path):
        # Exports have folders that are called as the patient.
        write_ct(tmp_path / "ct" / "ROSSI" / "a", STORED_ZYX)
        write_ct(tmp_path / "ct" / "ROSSI" / "b", STORED_ZYX[:3], SeriesInstanceUID="1.2.3.5")
        error = _refused(tmp_path / "ct")
        assert error.code == "several-series"
        assert "ROSSI" not in error.problem
        assert names(error.problem, "5 slices", "3 slices", "7 x 6", "60 mm", "a/IM0000", "b/IM0000")

    def test_two_phases_in_one_series(self, tmp_path):
        write_ct(tmp_path / "ct" / "a", STORED_ZYX, AcquisitionNumber=1)
        write_ct(tmp_path / "ct" / "b", STORED_ZYX + 1, AcquisitionNumber=2)
        assert _refused(tmp_path / "ct").code == "slices-uneven"


class TestOneUidForEachSlice:
    @pytest.mark.parametrize("others", [(), ("FrameOfReferenceUID",), ("FrameOfReferenceUID", "StudyInstanceUID")])
    def test_joined(self, tmp_path, others):
        uids = {name: lambda _: generate_uid() for name in ("SeriesInstanceUID", *others)}
        volume = read_ct(write_ct(tmp_path / "ct", STORED_ZYX, **uids))
        _assert_whole(volume)
        assert _codes(volume) == ["dicom-joined"]

    def test_two_frames_of_reference(self, tmp_path):
        folder = write_ct(
            tmp_path / "ct",
            STORED_ZYX,
            SeriesInstanceUID=lambda _: generate_uid(),
            FrameOfReferenceUID=lambda index: f"1.2.3.{index // 3}",
        )
        assert _refused(folder).code == "several-series"

    def test_uneven_positions(self, tmp_path):
        z_mm = (0, 60, 120, 300, 360)
        folder = write_ct(
            tmp_path / "ct", STORED_ZYX, SeriesInstanceUID=lambda _: generate_uid(), z_mm=lambda index: z_mm[index]
        )
        assert _refused(folder).code == "several-series"

    def test_two_slices(self, tmp_path):
        folder = write_ct(tmp_path / "ct", STORED_ZYX[:2], SeriesInstanceUID=lambda _: generate_uid())
        assert _refused(folder).code == "several-series"


class TestAttributes:
    @pytest.mark.parametrize("name", ["PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "BitsStored"])
    @pytest.mark.parametrize("value", [None, ""])
    def test_a_missing_one_is_named(self, tmp_path, name, value):
        folder = write_ct(tmp_path / "ct", STORED_ZYX)
        change(folder / "IM0003", **{name: value})
        error = _refused(folder)
        assert error.code == "dicom-attribute"
        assert "IM0003" in error.problem
        assert name in error.problem

    def test_the_spacing_at_the_detector_is_not_used(self, tmp_path):
        folder = write_ct(
            tmp_path / "ct", STORED_ZYX, PixelSpacing=None, ImagerPixelSpacing=[1, 1], NominalScannedPixelSpacing=[1, 1]
        )
        assert "PixelSpacing" in _refused(folder).problem

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("PixelSpacing", [0, 20]),
            ("PixelSpacing", [20]),
            ("ImageOrientationPatient", [0, 0, 0, 0, 0, 0]),
            ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]),
            ("ImagePositionPatient", [0, 0, 1e9]),
            ("RescaleSlope", 0),
            ("PixelRepresentation", 2),
        ],
    )
    def test_an_invalid_one_is_named(self, tmp_path, name, value):
        folder = write_ct(tmp_path / "ct", STORED_ZYX, **{name: value})
        error = _refused(folder)
        assert error.code == "dicom-attribute"
        assert name in error.problem

    def test_positions_take_precedence_over_the_spacing_between_slices(self, tmp_path):
        folder = write_ct(tmp_path / "ct", STORED_ZYX, SpacingBetweenSlices=3, SliceThickness=1)
        _assert_whole(read_ct(folder))

    @pytest.mark.parametrize(
        ("attributes", "codes"),
        [
            ({"RescaleIntercept": None}, ["rescale-missing"]),
            ({"RescaleSlope": None}, ["rescale-missing"]),
            ({"RescaleSlope": None, "RescaleIntercept": None}, ["rescale-missing"] * 2),
            ({"RescaleType": None}, []),
            ({"RescaleType": "US"}, ["rescale-type"]),
            ({"Modality": None}, ["modality"]),
            ({"SOPClassUID": SECONDARY_CAPTURE}, ["modality"]),
        ],
    )
    def test_assumptions_about_values(self, tmp_path, attributes, codes):
        assert _codes(read_ct(write_ct(tmp_path / "ct", STORED_ZYX, **attributes))) == codes

    def test_a_mask_is_not_in_hu(self, tmp_path):
        mask = (STORED_ZYX > 1024).astype(np.uint8)
        folder = write_ct(
            tmp_path / "m", mask, bits=8, RescaleSlope=None, RescaleIntercept=None, Modality="OT", SOPClassUID=MR
        )
        volume = read_mask(folder)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(volume.image), mask)
        assert _codes(volume) == []

    def test_a_part_of_the_slices_without_intercept(self, tmp_path):
        folder = write_ct(tmp_path / "ct", STORED_ZYX)
        change(folder / "IM0003", RescaleIntercept=None)
        error = _refused(folder)
        assert error.code == "dicom-attribute"
        assert "RescaleIntercept" in error.problem


class TestOtherModalities:
    @pytest.fixture
    def mr(self, tmp_path):
        return write_ct(tmp_path / "mr", STORED_ZYX, Modality="MR", SOPClassUID=MR)

    def test_refused(self, mr):
        error = _refused(mr)
        assert error.code == "not-ct"
        assert "5 x MR Image" in error.problem

    def test_accepted_with_any_values(self, mr):
        volume = read_ct(mr, any_values=True)
        _assert_whole(volume)
        assert _codes(volume) == ["modality"]

    def test_a_ct_is_not_mixed_with_them(self, mr, tmp_path):
        write_ct(mr, STORED_ZYX[:3], SeriesInstanceUID="1.2.3.5")
        assert read_ct_header(mr, any_values=True).geometry.size_xyz == (7, 6, 3)


def test_a_single_slice(tmp_path):
    folder = write_ct(tmp_path / "ct", STORED_ZYX)
    for path in (folder / "IM0003", write_ct(tmp_path / "one", STORED_ZYX[:1])):
        assert _refused(path).code == "not-3d"
