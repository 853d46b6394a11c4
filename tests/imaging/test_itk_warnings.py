"""ITK's warnings are collected in the thread that reads."""

from __future__ import annotations

import struct
import threading

import pytest
import SimpleITK as sitk

from nnunet_femur.findings import Severity
from nnunet_femur.imaging.itk_warnings import collected_warnings, warning_findings


@pytest.fixture
def doubtful(tmp_path):
    """A NIfTI file that ITK reads with a warning, and whose path contains a name."""
    path = tmp_path / "Rossi^Mario.nii"
    sitk.WriteImage(sitk.Image(4, 4, 4, sitk.sitkInt16), str(path))
    content = bytearray(path.read_bytes())
    struct.pack_into("<h", content, 252, 0)  # qform_code
    struct.pack_into("<f", content, 88, 7.0)  # pixdim[3], against 1 mm in the sform
    path.write_bytes(content)
    return path


def _read(path):
    sitk.ReadImage(str(path))


def test_warnings_are_collected_and_not_printed(doubtful, capfd):
    with collected_warnings() as texts:
        _read(doubtful)
    assert any("sform" in text for text in texts)
    assert "".join(capfd.readouterr()) == ""


def test_a_finding_names_the_place_and_does_not_quote(doubtful):
    with collected_warnings() as texts:
        _read(doubtful)
    (found,) = warning_findings(texts, doubtful)
    assert (found.code, found.severity) == ("reader-warning", Severity.WARNING)
    assert "itkNiftiImageIO" in found.problem
    assert "Rossi" not in found.problem


def test_without_warnings_there_is_no_finding(tmp_path):
    path = tmp_path / "a.nrrd"
    sitk.WriteImage(sitk.Image(4, 4, 4, sitk.sitkInt16), str(path))
    with collected_warnings() as texts:
        _read(path)
    assert warning_findings(texts, path) == ()


def test_threads_collect_only_their_own_warnings(doubtful, tmp_path):
    good = tmp_path / "good.nrrd"
    sitk.WriteImage(sitk.Image(4, 4, 4, sitk.sitkInt16), str(good))
    inside, found = threading.Barrier(2), {}

    def read(name, path):
        with collected_warnings() as texts:
            inside.wait(10)
            for _ in range(20):
                _read(path)
            inside.wait(10)
        found[name] = len(texts)

    threads = [
        threading.Thread(target=read, args=("bad", doubtful)),
        threading.Thread(target=read, args=("good", good)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found["good"] == 0
    assert found["bad"] >= 20


def test_afterwards_itk_warns_as_before(doubtful, capfd):
    with collected_warnings(), collected_warnings():
        _read(doubtful)
    _read(doubtful)
    assert "sform" in capfd.readouterr().err


def test_warnings_that_were_switched_off_stay_off(doubtful, capfd):
    sitk.ProcessObject.GlobalWarningDisplayOff()
    try:
        with collected_warnings() as texts:
            _read(doubtful)
        assert texts
        _read(doubtful)
        assert "".join(capfd.readouterr()) == ""
        assert not sitk.ProcessObject.GetGlobalWarningDisplay()
    finally:
        sitk.ProcessObject.GlobalWarningDisplayOn()
