"""Marks: their statuses by the mask as it is now, and files that are not marks."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.prediction.results import CaseResult, write_results
from nnunet_femur.prediction.review_record import (
    STATUSES,
    Mark,
    as_record,
    merged,
    read_marks,
    reviewed_masks,
    write_marks,
)
from nnunet_femur.records import sha256
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


def test_earlier_marks_stay_and_are_about_the_mask_that_was_marked(mask: Path) -> None:
    earlier = replace(_mark(mask, "correct"), note="neck")
    mask.write_bytes(b"corrected")
    now = _mark(mask, "")
    assert merged([now], {"L1": earlier})["L1"].status_in(mask.parent) == "corrected"
    assert merged([now], {"L2": earlier}) == {"L1": now}


@pytest.mark.parametrize(("mark", "status"), [("accept", "changed"), ("correct", "corrected"), ("reject", "rejected")])
def test_a_mask_that_was_saved_under_another_ending_keeps_its_mark(mask: Path, mark: str, status: str) -> None:
    earlier = Mark("L1", "L1.nrrd", "5e", "", mark, "neck")
    kept = merged([_mark(mask, "")], {"L1": earlier})["L1"]
    assert (kept.mask, kept.note, kept.status_in(mask.parent)) == (mask.name, "neck", status)


def test_a_ct_that_is_found_later_is_recorded(mask: Path) -> None:
    earlier = replace(_mark(mask, "accept"), ct="")
    assert merged([_mark(mask, "")], {"L1": earlier})["L1"] == _mark(mask, "accept")
    gone = replace(_mark(mask, ""), ct="")
    assert merged([gone], {"L1": _mark(mask, "accept")})["L1"].ct == "../L1.nrrd"


def test_a_mask_that_was_predicted_again_is_not_a_corrected_one(mask: Path) -> None:
    given = _mark(mask, "correct")
    mask.write_bytes(b"of another network")
    write_results(mask.parent, [CaseResult("L1", "L1.nrrd", files={mask.name: mask.stat().st_size})], {})
    assert given.status_in(mask.parent) == "to correct"
    write_marks(mask.parent, [given])
    assert reviewed_masks(mask.parent) == {}
    write_marks(mask.parent, [replace(given, mark="accept")])
    assert reviewed_masks(mask.parent) == {"L1": False}
    write_marks(mask.parent, [given])
    mask.write_bytes(b"corrected by hand")
    assert given.status_in(mask.parent) == "corrected"
    for mark, found in (("correct", {"L1": True}), ("accept", {"L1": True}), ("reject", {}), ("", {})):
        write_marks(mask.parent, [replace(given, mark=mark)])
        assert reviewed_masks(mask.parent) == found


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
