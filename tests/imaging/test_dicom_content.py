"""DICOM files are classified by their content, read or refused, and pydicom's warnings do not quote patients."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from nnunet_femur.imaging.dicom_content import Content, look_into, quiet_pydicom
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
)

PLANE = np.full((4, 5), 1024, np.int16)
TEST_FILES = Path(pydicom.__file__).parent / "data"


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
            (dataset(RT_STRUCTURE_SET, Modality="RTSTRUCT"), Content.STRUCTURES),
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


def _warn() -> None:
    """Let pydicom warn about a value that it quotes."""
    pydicom.valuerep.DSfloat("1.23456789012345678901234", validation_mode=pydicom.config.WARN)
    made = Dataset()
    made.add_new("PatientID", "LO", "Rossi" * 40)


def test_pydicom_warns_without_it():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _warn()
    assert caught


def test_it_is_quiet_within_and_warns_again_afterwards():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        with quiet_pydicom(), quiet_pydicom():
            _warn()
        assert not caught
        assert list(warnings.filters) == before
        _warn()
        assert caught


def test_warnings_of_other_modules_are_not_suppressed():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet_pydicom():
            warnings.warn("mine", stacklevel=1)
    assert [str(one.message) for one in caught] == ["mine"]


@pytest.mark.parametrize("rounds", [20])
def test_threads_leave_no_filter_behind(rounds):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = list(warnings.filters)

        def work() -> None:
            for _ in range(rounds):
                with quiet_pydicom():
                    _warn()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert list(warnings.filters) == before
    assert not caught
