"""The local server: the page with its address, marks that are saved, and everything else refused."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from nnunet_femur.prediction.review_record import read_marks, write_marks
from nnunet_femur.reviewing import ReviewServer, review
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a case without a mask, which takes no time."""
    from nnunet_femur.prediction.results import CaseResult
    from tests.reviewing.conftest import write_predictions

    folder = tmp_path_factory.mktemp("served")
    write_predictions(folder, [CaseResult("L1", "L1.nrrd", error="L1.nrrd: is truncated. Copy it again.")])
    review(folder)
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[ReviewServer]:
    with ReviewServer(folder) as server:
        yield server


def _ask(url: str, content: object = None, **headers: str) -> tuple[int, bytes]:
    data = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})  # noqa: S310
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_the_page_knows_where_marks_go(server: ReviewServer) -> None:
    status, page = _ask(server.url)
    assert status == 200
    assert f'name="review-server" content="/{server.token}"'.encode() in page
    assert urlsplit(server.url).hostname == "127.0.0.1"
    assert json.loads(_ask(f"{server.url}review.json")[1])["cases"][0]["case"] == "L1"


def test_marks_are_saved_at_once(server: ReviewServer, folder: Path) -> None:
    for mark in ("reject", "correct", ""):
        assert _ask(f"{server.url}mark", {"case": "L1", "mark": mark, "note": "kurz: ä", "mask_sha256": ""})[0] == 204
        saved = read_marks(folder / "review.json")["L1"]
        assert (saved.mark, saved.note) == (mark, "kurz: ä")


def test_a_note_leaves_the_mark_about_the_mask_that_was_marked(server: ReviewServer, folder: Path) -> None:
    marks = read_marks(folder / "review.json")
    write_marks(folder, [replace(marks["L1"], mark="accept", mask_sha256="of an earlier mask")])
    server.mark("L1", "accept", "a note", "of an earlier mask")
    saved = read_marks(folder / "review.json")["L1"]
    assert (saved.mask_sha256, saved.note) == ("of an earlier mask", "a note")
    with refused("invalid-option", "L1"):
        server.mark("L1", "correct", "", "of an earlier mask")
    server.mark("L1", "accept", "", "")
    assert read_marks(folder / "review.json")["L1"].mask_sha256 == ""


@pytest.mark.parametrize(
    "content",
    [
        {"case": "L2", "mark": "accept", "note": "", "mask_sha256": ""},
        {"case": "L1", "mark": "perhaps", "note": "", "mask_sha256": ""},
        {"case": "L1", "mark": "accept", "mask_sha256": ""},
        {"case": "L1", "mark": "accept", "note": "", "mask_sha256": "of another mask"},
        {"case": "L1", "mark": 1, "note": "", "mask_sha256": ""},
        [],
    ],
)
def test_other_marks_are_refused(server: ReviewServer, folder: Path, content: object) -> None:
    before = (folder / "review.json").read_bytes()
    assert _ask(f"{server.url}mark", content)[0] == 400
    assert (folder / "review.json").read_bytes() == before


def test_only_its_own_page_may_ask(server: ReviewServer, folder: Path) -> None:
    mark = {"case": "L1", "mark": "accept", "note": "", "mask_sha256": ""}
    before = (folder / "review.json").read_bytes()
    port = urlsplit(server.url).port
    assert _ask(f"http://127.0.0.1:{port}/")[0] == 404  # without the token
    assert _ask(f"http://127.0.0.1:{port}/review.json")[0] == 404
    assert _ask(f"{server.url}../review.json")[0] == 404
    assert _ask(server.url, Host="attacker.example")[0] == 403
    assert _ask(f"{server.url}mark", mark, Origin="http://attacker.example")[0] == 403
    assert _ask(f"{server.url}mark", mark, **{"Content-Type": "text/plain"})[0] == 404
    assert _ask(f"{server.url}mark", {**mark, "note": "x" * 30_000})[0] == 413
    assert (folder / "review.json").read_bytes() == before


def test_a_folder_without_a_page_and_a_taken_port_are_refused(
    server: ReviewServer, folder: Path, tmp_path: Path
) -> None:
    with refused("not-found", tmp_path):
        ReviewServer(tmp_path)
    port = urlsplit(server.url).port
    with refused("setup", str(port)):
        ReviewServer(folder, port)
