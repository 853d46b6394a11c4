"""Series that DICOM files can refer to, and those that they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.imaging.dicom_references import dicom_ct
from tests.dicom_writing import change, dataset, save, write_ct
from tests.refusing import refused

STORED_ZYX = np.random.default_rng(0).integers(100, 2500, (6, 9, 7)).astype(np.int16)


class TestSeries:
    def test_is_sorted_by_position(self, tmp_path):
        folder = write_ct(
            tmp_path / "ct", STORED_ZYX, z_mm=lambda index: -60.0 * index, SeriesNumber=7, SliceThickness=5
        )
        ct = dicom_ct(folder)
        assert [each.file.name for each in ct.slices] == [f"IM{index:04d}" for index in range(5, -1, -1)]
        assert (ct.thickness_mm, ct.new_series_number, ct.frame_of_reference) == (5, 1007, "1.2.3.9")

    def test_without_thickness_and_number(self, tmp_path):
        ct = dicom_ct(write_ct(tmp_path / "ct", STORED_ZYX))
        assert (ct.thickness_mm, ct.new_series_number) == (60, 1000)


class TestRefused:
    @pytest.mark.parametrize("name", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"])
    def test_without_a_uid(self, tmp_path, name):
        folder = write_ct(tmp_path / "ct", STORED_ZYX)
        for file in folder.iterdir():
            change(file, **{name: None})
        with refused("dicom-attribute", name):
            dicom_ct(folder)

    def test_a_series_for_each_slice(self, tmp_path):
        """Some anonymisation programs do this; the CT can be read."""
        folder = write_ct(tmp_path / "ct", STORED_ZYX, SeriesInstanceUID=lambda index: f"1.2.{index + 1}")
        with refused("unsupported", "ct"):
            dicom_ct(folder)

    def test_a_missing_slice(self, tmp_path):
        folder = write_ct(tmp_path / "ct", STORED_ZYX)
        (folder / "IM0002").unlink()
        with refused("slice-gap", "IM0001"):
            dicom_ct(folder)

    def test_a_tilted_gantry(self, tmp_path):
        folder = write_ct(
            tmp_path / "ct", STORED_ZYX, ImagePositionPatient=lambda index: [-10, 20.5 + 25 * index, 5 + 60 * index]
        )
        with refused("slices-uneven"):
            dicom_ct(folder)

    def test_other_files(self, tmp_path):
        (tmp_path / "a.txt").write_text("text")
        with refused("unsupported", "a.txt"):
            dicom_ct(tmp_path / "a.txt")
        with refused("not-ct", "SR"):
            dicom_ct(save(dataset("1.2.840.10008.5.1.4.1.1.88.11", Modality="SR"), tmp_path / "SR1"))
