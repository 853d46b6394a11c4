"""Marks: their statuses by the mask as it is now, and files that are not marks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.records import sha256
from nnunet_femur.reviewing.review_record import STATUSES, Mark, as_record, merged, read_marks, write_marks
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    path = tmp_path / "L1.seg.nrrd"
    path.write_bytes(b"mask")
    return path


def _mark(mask: Path, mark: str) -> Mark:
    return Mark("L1", mask.name, sha256(mask), "../L1.nrrd", mark)


@pytest.mark.parametrize(
    ("mark", "before", "after"),
    [
        ("", "unmarked", "unmarked"),
        ("accept", "accepted", "changed"),
        ("correct", "to correct", "corrected"),
        ("reject", "rejected", "rejected"),
    ],
)
def test_the_status_follows_the_mask(mask: Path, mark: str, before: str, after: str) -> None:
    given = _mark(mask, mark)
    assert given.status_in(mask.parent) == before
    mask.write_bytes(b"another mask")
    assert given.status_in(mask.parent) == after
    assert {before, after} <= STATUSES.keys()


def test_marks_are_read_as_written(mask: Path) -> None:
    marks = {"L1": _mark(mask, "accept"), "L0": Mark("L0", "", "", "", note="ß")}
    assert read_marks(write_marks(mask.parent, marks.values())) == marks
    assert read_marks(mask.parent / "none.json") == {}


def test_earlier_marks_stay_as_long_as_the_file_has_its_name(mask: Path) -> None:
    shown, earlier = _mark(mask, ""), _mark(mask, "correct")
    mask.write_bytes(b"corrected")
    now = _mark(mask, "")
    assert now.mask_sha256 != shown.mask_sha256
    assert merged([now], {"L1": earlier})["L1"].status_in(mask.parent) == "corrected"
    assert merged([Mark("L1", "L1.nrrd", "5e", "")], {"L1": earlier})["L1"].mark == ""
    assert merged([now], {"L2": earlier}) == {"L1": now}


@pytest.mark.parametrize(
    "changes", [{"mark": "perhaps"}, {"mask": "../secret.nrrd"}, {"case": ""}, {"case": "a/b"}, {"mask": ".."}]
)
def test_invalid_entries_are_refused(mask: Path, changes: dict[str, str]) -> None:
    content = as_record([_mark(mask, "accept")])
    content["cases"][0] |= changes
    file = mask.parent / "review.json"
    file.write_text(json.dumps(content))
    with refused("invalid-file", file):
        read_marks(file)


@pytest.mark.parametrize("content", ["[]", "{}", '{"cases": 3}', '{"cases": [1]}', "no json"])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "review.json"
    file.write_text(content)
    with refused("invalid-file", file):
        read_marks(file)


def test_the_site_lists_its_keys() -> None:
    from written_files import REVIEW, fields_of

    assert list(as_record([])) == fields_of(REVIEW, "review.json")
