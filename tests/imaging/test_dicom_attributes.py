"""Attributes of DICOM headers, and pydicom's warnings about them."""

from __future__ import annotations

import threading
import warnings

import pydicom
import pytest
from pydicom.dataset import Dataset

from nnunet_femur.imaging.dicom_attributes import quiet_pydicom


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
