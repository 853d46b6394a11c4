"""DICOM files are found by content, and told apart by what they contain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from nnunet_femur.imaging.dicom import case_stem, dicom_files, holds_dicom, is_dicom_file, is_dicom_folder
from nnunet_femur.imaging.dicom_files import Content, look_into
from nnunet_femur.imaging.geometry import VolumeError
from nnunet_femur.imaging.reading import read_ct, read_ct_header, read_mask
from tests.dicom_writing import (
    BASIC_TEXT_SR,
    CT,
    MR,
    RT_STRUCTURE_SET,
    SECONDARY_CAPTURE,
    ct_slice,
    dataset,
    save,
    write_ct,
)

PLANE = np.full((4, 5), 1024, np.int16)
TEST_FILES = Path(pydicom.__file__).parent / "data"


def _denied(read):
    def reading(path, **options):
        if path.name == "IM0003":
            raise PermissionError
        return read(path, **options)

    return reading


class TestFound:
    def test_a_name_is_not_looked_at(self, tmp_path):
        assert is_dicom_file(save(ct_slice(PLANE, 0), tmp_path / "IM1"))
        assert is_dicom_file(save(ct_slice(PLANE, 0), tmp_path / "ct.nrrd"))
        (tmp_path / "report.dcm").write_text("This text is long enough for a preamble. " * 10)
        assert not is_dicom_file(tmp_path / "report.dcm")

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
        with pytest.raises(VolumeError, match="IM0003"):
            read_ct(folder)

    @pytest.mark.parametrize(
        ("name", "stem"), [("1.2.840.113", "1.2.840.113"), ("L104_CT.dcm", "L104_CT"), ("x.IMA", "x"), ("IM1", "IM1")]
    )
    def test_names_of_cases(self, name, stem):
        assert case_stem(Path(name)) == stem


class TestContent:
    @pytest.mark.parametrize(
        ("made", "content"),
        [
            (ct_slice(PLANE, 0), Content.CT),
            (ct_slice(PLANE, 0, Modality=None), Content.CT),
            (ct_slice(PLANE, 0, Modality="MR"), Content.IMAGE),
            (ct_slice(PLANE, 0, Modality="MR", SOPClassUID=MR), Content.IMAGE),
            (ct_slice(PLANE, 0, SOPClassUID=MR), Content.IMAGE),
            (ct_slice(PLANE, 0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER", "CT_SOM5 TOP"]), Content.OTHER),
            (ct_slice(PLANE, 0, SOPClassUID=SECONDARY_CAPTURE), Content.CT),
            (ct_slice(PLANE, 0, SOPClassUID=SECONDARY_CAPTURE, ImagePositionPatient=None), Content.OTHER),
            (ct_slice(PLANE, 0, SOPClassUID=SECONDARY_CAPTURE, SamplesPerPixel=3), Content.COLOUR),
            (ct_slice(PLANE, 0, Rows=None), Content.UNREADABLE),
            (dataset(RT_STRUCTURE_SET, Modality="RTSTRUCT"), Content.OTHER),
            (dataset(BASIC_TEXT_SR, Modality="SR"), Content.OTHER),
            (dataset(CT), Content.UNREADABLE),
        ],
    )
    def test_by_class_modality_and_type(self, tmp_path, made, content):
        assert look_into(save(made, tmp_path / "x")).content is content

    def test_text_of_a_header_is_not_in_the_description(self, tmp_path):
        made = dataset("1.2.3.4.5", Modality="ROSSI")
        described = look_into(save(made, tmp_path / "x")).described
        assert described == "file of unknown kind"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("rtdose.dcm", "not-ct"),
        ("MR_small.dcm", "not-ct"),
        ("CT_small.dcm", "not-3d"),
        ("rtstruct.dcm", "not-ct"),
        ("ExplVR_BigEnd.dcm", "colour"),
        ("image_dfl.dcm", "not-ct"),
        ("dicomdirtests/DICOMDIR", "not-ct"),
        ("dicomdirtests/77654033/CT2", "slice-gap"),
        ("dicomdirtests/98892003", "not-ct"),
        ("dicomdirtests/TINY_ALPHA", "unreadable"),
        ("badVR.dcm", "not-ct"),
    ],
)
def test_files_of_pydicom_that_are_not_a_ct(name, code):
    with pytest.raises(VolumeError) as caught:
        read_ct(TEST_FILES / "test_files" / name)
    assert caught.value.code == code


def test_a_series_beside_localizers_among_files_of_pydicom():
    volume = read_ct(TEST_FILES / "test_files/dicomdirtests/98892001")
    assert volume.image.GetSize() == (16, 16, 5)
    assert [found.code for found in volume.header.findings] == ["dicom-left-out"]


def test_every_file_of_pydicom_is_read_or_refused_by_name(recwarn):
    """Two folders are a whole CT. The DICOM SEG have one frame, and positions of three."""
    paths = sorted(path for path in TEST_FILES.rglob("*") if "TINY" not in path.name and path.suffix != ".py")
    assert len(paths) > 200
    read: dict[str, list[str]] = {}
    refused = []
    for path in paths:
        for reader, options in ((read_ct_header, {}), (read_ct, {"any_values": True}), (read_mask, {})):
            try:
                reader(path, **options)
            except VolumeError as error:
                refused.append((path, error))
            else:
                read.setdefault(path.name, []).append(reader.__name__)
    assert [path for path, error in refused if not str(error).startswith(str(path)) or not error.remedy] == []
    assert read == {
        "98892001": ["read_ct_header", "read_ct", "read_mask"],
        "CT5N": ["read_ct_header", "read_ct", "read_mask"],
    }
    assert [str(warning.message) for warning in recwarn] == []
