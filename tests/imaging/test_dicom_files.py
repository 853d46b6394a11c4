"""DICOM files are found by their content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from nnunet_femur.imaging.dicom_content import Content, look_into
from nnunet_femur.imaging.dicom_files import dicom_files, holds_dicom, is_dicom_file, is_dicom_folder
from nnunet_femur.imaging.reading import read_ct
from tests.dicom_writing import ct_slice, save, write_ct
from tests.refusing import refused

PLANE = np.full((4, 5), 1024, np.int16)


def _denied(read):
    def reading(path, **options):
        if path.name == "IM0003":
            raise PermissionError
        return read(path, **options)

    return reading


class TestFound:
    def test_whatever_the_name(self, tmp_path):
        assert is_dicom_file(save(ct_slice(PLANE, 0), tmp_path / "IM1"))
        assert is_dicom_file(save(ct_slice(PLANE, 0), tmp_path / "ct.nrrd"))
        (tmp_path / "report.dcm").write_text("This text is long enough for a preamble. " * 10)
        assert not is_dicom_file(tmp_path / "report.dcm")

    @pytest.mark.parametrize(("name", "counts"), [("L1.seg.dcm", False), ("L1.RTSTRUCT.dcm", False), ("L1.dcm", True)])
    def test_files_of_this_package_count_if_asked_for(self, tmp_path, name, counts):
        save(ct_slice(PLANE, 0), tmp_path / "folder" / name)
        assert is_dicom_folder(tmp_path / "folder")
        assert holds_dicom(tmp_path)
        assert is_dicom_folder(tmp_path / "folder", outputs=False) is counts
        assert holds_dicom(tmp_path, outputs=False) is counts

    @pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
    def test_a_file_without_preamble(self, tmp_path, syntax):
        made = ct_slice(PLANE, 0)
        del made.file_meta
        implicit, little = syntax.endswith(".1.2"), not syntax.endswith(".2.2")
        made.save_as(tmp_path / "IM1", implicit_vr=implicit, little_endian=little)
        assert is_dicom_file(tmp_path / "IM1")
        assert look_into(tmp_path / "IM1").content is Content.CT

    @pytest.mark.parametrize(
        "head", [b"", b"NRRD0005\n", b"\x5c\x01\0\0" + b"\0" * 344, b"\0" * 200, b"\x1f\x8b\x08\0"]
    )
    def test_other_formats(self, tmp_path, head):
        (tmp_path / "x").write_bytes(head)
        assert not is_dicom_file(tmp_path / "x")

    def test_folders_below(self, tmp_path):
        save(ct_slice(PLANE, 0), tmp_path / "ST1" / "SE1" / "IM1")
        save(ct_slice(PLANE, 0), tmp_path / ".hidden" / "IM1")
        (tmp_path / "loop").symlink_to(tmp_path)
        assert holds_dicom(tmp_path)
        assert not is_dicom_folder(tmp_path)
        assert dicom_files(tmp_path) == [tmp_path / "ST1" / "SE1" / "IM1"]

    def test_a_file_that_cannot_be_opened_is_not_left_out(self, tmp_path, monkeypatch):
        folder = write_ct(tmp_path / "ct", np.stack([PLANE] * 4))
        opened = Path.open

        def denied(path, *args, **options):
            if path.name == "IM0003":
                raise PermissionError
            return opened(path, *args, **options)

        monkeypatch.setattr(Path, "open", denied)
        monkeypatch.setattr(pydicom, "dcmread", _denied(pydicom.dcmread))
        with refused("unreadable", "IM0003"):
            read_ct(folder)
