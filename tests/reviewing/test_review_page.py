"""The page as a whole: one file that loads nothing, small, with the worst case first; marks survive a second call."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import nnunet_femur as nf
from nnunet_femur.cli import app
from nnunet_femur.prediction.review_record import Mark, as_record, read_marks, write_marks
from nnunet_femur.records import sha256
from nnunet_femur.reviewing import review_page
from nnunet_femur.reviewing.case_volume import LARGEST_CASE_BYTES
from nnunet_femur.reviewing.reviewed_cases import CheckedCase, FoundCase
from tests.refusing import refused
from tests.reviewing.browser import Browser

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `predicted`, reviewed once for all tests of this file."""
    from tests.reviewing.conftest import make_predicted

    folder = make_predicted(tmp_path_factory.mktemp("made"))
    assert CliRunner().invoke(app, ["review", str(folder)]).exit_code == 0
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    for name in ("out", "cts"):
        shutil.copytree(made.parent / name, tmp_path / name)
    return tmp_path / "out"


def _content(folder: Path) -> dict:
    text = (folder / "review.html").read_text(encoding="utf-8")
    return json.loads(re.search(r'id="cases">(.*?)</script>', text).group(1))


def test_the_worst_is_first_and_every_case_is_small(made: Path) -> None:
    assert [each["case"] for each in _content(made)["cases"]] == ["L803", "L802", "L801"]
    text = (made / "review.html").read_text(encoding="utf-8")
    pictures = re.findall(r'id="picture-\d+">(.*?)</script>', text)
    assert [len(picture) > 10_000 for picture in pictures] == [False, True, True]
    assert max(map(len, pictures)) <= LARGEST_CASE_BYTES


def test_nothing_is_loaded_from_elsewhere(made: Path) -> None:
    text = (made / "review.html").read_text(encoding="utf-8")
    assert "http:" not in text
    assert "https:" not in text
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=\"(?!data:)", text)


def test_names_of_cases_are_no_markup(tmp_path: Path) -> None:
    from nnunet_femur.prediction.results import CaseResult
    from tests.reviewing.conftest import write_predictions

    name = "<img onerror=alert(1)>"
    write_predictions(tmp_path, [CaseResult(name, "x.nrrd", error="</script><b>no")])
    nf.review(tmp_path)
    text = (tmp_path / "review.html").read_text(encoding="utf-8")
    assert "<img" not in text
    assert "</script><b>" not in text
    assert _content(tmp_path)["cases"][0]["case"] == name


def test_marks_stay_and_corrected_masks_are_recognised(folder: Path) -> None:
    marks = read_marks(folder / "review.json")
    for case, mark in (("L801", "accept"), ("L802", "correct")):
        marks[case] = type(marks[case])(**{**vars(marks[case]), "mark": mark})
    (folder / "review.json").write_text(json.dumps(as_record(marks.values())))
    shutil.copy(folder / "L801.seg.nrrd", folder / "L802.seg.nrrd")
    result = nf.review(folder, worst=2)
    assert set(result.usable) == {"L801", "L802"}
    statuses = {each["case"]: each["status"] for each in _content(folder)["entries"]}
    expected = {"L803": "unmarked", "L801": "accepted", "L802": "corrected"}
    assert len(statuses) == 2
    assert statuses.items() <= expected.items()
    assert set(read_marks(folder / "review.json")) == {"L801", "L802", "L803"}
    # A download of the page contains every case, so that it can replace review.json.
    assert {each["case"] for each in _content(folder)["others"]} == {"L801", "L802", "L803"} - statuses.keys()


def test_marks_that_are_saved_while_masks_are_checked_stay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def checked(found: FoundCase) -> CheckedCase:
        marks = read_marks(folder / "review.json")
        write_marks(folder, (marks | {"L801": replace(marks["L801"], mark="reject")}).values())
        return CheckedCase(found, None, None, ())

    monkeypatch.setattr(review_page, "check_case", checked)
    nf.review(folder)
    assert read_marks(folder / "review.json")["L801"].mark == "reject"


def test_a_mark_is_about_the_mask_that_was_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask that is saved by 3D Slicer right after it was read was not seen by anybody."""
    before = sha256(folder / "L801.seg.nrrd")

    def checked(found: FoundCase) -> CheckedCase:
        (folder / "L801.seg.nrrd").write_bytes(b"later")
        return CheckedCase(found, None, None, ())

    monkeypatch.setattr(review_page, "check_case", checked)
    nf.review(folder)
    assert read_marks(folder / "review.json")["L801"].mask_sha256 == before


def test_only_the_pictures_of_the_worst_are_kept_in_memory() -> None:
    found = {
        case: review_page._Shown(
            CheckedCase(FoundCase(case, None, None), None, None, doubts, has_mask=True),
            Mark(case, "", "", ""),
            {},
            "",
            [],
        )
        for case, doubts in (("L1", (("pieces", ""),)), ("L2", ()), ("L3", (("side-contradiction", ""),)))
    }
    review_page._drop_pictures(found, 2)
    assert [case for case, one in found.items() if one.picture is None] == ["L2"]
    review_page._drop_pictures(found, 2)
    assert sum(one.picture is not None for one in found.values()) == 2


def test_downloaded_marks_are_taken_over(folder: Path, tmp_path: Path) -> None:
    content = json.loads((folder / "review.json").read_text())
    content["cases"] = [each | {"mark": "reject", "note": "n"} for each in content["cases"] if each["case"] == "L801"]
    (tmp_path / "review.json").write_text(json.dumps(content))
    result = nf.review(folder, marks=tmp_path / "review.json", worst=1)
    assert {mark.case: mark.mark for mark in result.marks} == {"L801": "reject", "L802": "", "L803": ""}
    assert read_marks(folder / "review.json")["L801"].note == "n"
    with refused("not-found", tmp_path / "none.json"):
        nf.review(folder, marks=tmp_path / "none.json")


@pytest.mark.parametrize("options", [{"jobs": 0}, {"worst": 0}])
def test_invalid_options_are_refused(tmp_path: Path, options: dict[str, int]) -> None:
    with refused("invalid-option"):
        nf.review(tmp_path, **options)


@pytest.mark.parametrize("width", [1280, 400])
def test_in_a_browser(folder: Path, tmp_path: Path, width: int) -> None:
    with Browser(tmp_path / "profile", width=width) as browser:
        browser.open((folder / "review.html").as_uri())
        assert browser.value("document.body.dataset.shown") == "L803"
        browser.press("j")
        browser.until("document.body.dataset.shown === 'L802' && shown")
        # The outline, the bone and the surface are drawn.
        colours = browser.value(
            "[...document.querySelectorAll('canvas')].map((canvas) => new Set(new Uint32Array("
            "canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size)"
        )
        assert min(colours) > 20
        slices = browser.value("at[0]")
        browser.press("ArrowUp")
        assert browser.value("at[0]") == slices + 1
        # A click on the surface shows the planes through that point, which is in the mask or beside it.
        browser.value("surfaceView.scrollIntoView()")
        box = browser.value("(({x, y, width, height}) => [x, y, width, height])(surfaceView.getBoundingClientRect())")
        spot = browser.value(
            "(() => { const n = shown.surface.nearest, all = [...n.keys()].filter((i) => Number.isFinite(n[i])); "
            "const i = all[all.length >> 1]; return [i % surfaceView.width, Math.floor(i / surfaceView.width)] })()"
        )
        browser.click(box[0] + spot[0], box[1] + spot[1])
        near = browser.value(
            "(() => { const { mask, shape } = shown.volume, [z, y, x] = at, near = [-2, -1, 0, 1, 2]; "
            "return near.some((a) => near.some((b) => near.some((c) => "
            "mask[((z + a) * shape[1] + y + b) * shape[2] + x + c]))) })()"
        )
        assert near
        # A changed mask is accepted anew by the same key, which removes only a mark about the mask in the page.
        browser.value("Object.assign(entryOf(current), { mark: 'accept', mask_sha256: 'earlier', status: 'changed' })")
        browser.press("a")
        assert browser.value("[entryOf(current).mark, entryOf(current).status]") == ["accept", "accepted"]
        browser.press("a")
        for key, mark in (("a", "accept"), ("r", "reject"), ("r", ""), ("c", "correct")):
            browser.press(key)
            assert browser.value("entryOf(current).mark") == mark
        browser.press("u")
        browser.until("document.body.dataset.shown === 'L801'")
        assert [each["mark"] for each in browser.value("record()")["cases"]] == ["", "correct", ""]
        # Cases that --worst leaves out of the page are in a download, with the marks of a loaded file.
        browser.value("cases.others = [{ case: 'L9', mark: '' }]")
        browser.value("takeOthers({ cases: [{ case: 'L9', mark: 'reject' }, { case: 'L10', mark: 'accept' }] })")
        assert [each["mark"] for each in browser.value("record()")["cases"]] == ["", "correct", "", "reject"]
        # The marks are still there after the page was loaded again. Unsaved ones would ask before.
        browser.value("unsaved = false")
        browser.reload()
        assert browser.value("marks.get('L802').mark") == "correct"
        assert browser.value("document.documentElement.scrollWidth - innerWidth") <= 0
        assert browser.problems == []
        assert {address.partition(":")[0] for address in browser.addresses} == {"file", "data"}
