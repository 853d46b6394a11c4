"""Findings and the error that lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_femur.errors import InputError
from nnunet_femur.findings import Finding, Severity, stop_at_errors

ERROR = Finding("unreadable", Severity.ERROR, "Images/L1.nrrd", "cannot be read.", "Export it again.")
NOTE = Finding("padding", Severity.NOTE, "Images/L2.nrrd", "is padded.")


def test_errors_are_listed_and_notes_are_not():
    with pytest.raises(InputError) as caught:
        stop_at_errors([NOTE, ERROR, ERROR], Path("drop"), outcome="nothing was written:")
    assert str(caught.value).splitlines() == [
        "drop: 2 problems; nothing was written:",
        "  Images/L1.nrrd: cannot be read. Export it again.",
        "  Images/L1.nrrd: cannot be read. Export it again.",
    ]


def test_notes_stop_nothing():
    stop_at_errors([NOTE], Path("drop"), outcome="")


def test_json_and_back():
    assert NOTE.as_json()["severity"] == "note"
    assert Finding.from_json(NOTE.as_json()) == NOTE
