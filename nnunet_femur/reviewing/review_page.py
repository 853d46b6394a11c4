"""The page of a review: one HTML file with the pictures of all cases, which loads nothing from elsewhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.atomic_files import write_text
from nnunet_femur.errors import InputError
from nnunet_femur.page_templates import page_templates
from nnunet_femur.prediction.review_record import (
    RECORD_FILE,
    USABLE,
    Mark,
    is_as_predicted,
    merged,
    read_marks,
    write_marks,
)
from nnunet_femur.processes import each
from nnunet_femur.progress import SILENT, Progress, track
from nnunet_femur.records import fingerprint
from nnunet_femur.reviewing.case_volume import encoded_case
from nnunet_femur.reviewing.reviewed_cases import CheckedCase, FoundCase, check_case, find_reviewed, worst_first
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE_FILE = "review.html"
"""Name of the page in the folder of the masks."""

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Review:
    """A written page, and the marks of its folder.

    Attributes:
        folder: The folder of the masks.
        page: The HTML page.
        marks: The cases in the order of the page, with their marks.
        scores: Review score of each case, from 0 (nothing is doubtful) to 1.

    Example:
        >>> first = Mark("L001", "L001.seg.nrrd", "3f2a", "../L001.nrrd")
        >>> Review(Path("out"), Path("out/review.html"), (first,), {"L001": 0.3})
        Review(out: 1 cases, 0 marked)
    """

    folder: Path
    page: Path
    marks: tuple[Mark, ...]
    scores: dict[str, float]

    @property
    def usable(self) -> tuple[str, ...]:
        """The cases whose masks were accepted or corrected."""
        return tuple(each.case for each in self.marks if each.status_in(self.folder) in USABLE)

    def __repr__(self) -> str:
        """Return the folder and the numbers of cases."""
        marked = sum(bool(each.mark) for each in self.marks)
        return f"{type(self).__name__}({self.folder}: {len(self.marks)} cases, {marked} marked)"


def review(
    folder: str | PathLike[str],
    *,
    ct: str | PathLike[str] | Sequence[str | PathLike[str]] = (),
    marks: str | PathLike[str] | None = None,
    worst: int | None = None,
    jobs: int = 1,
    progress: Progress = SILENT,
) -> Review:
    """Write the page of a prediction folder, the most doubtful cases first, and the list of its cases.

    Every mask is read and checked as it is now, so a second call shows corrected masks. Marks that were given before
    are kept. The page contains at most 2 MB for each case.

    Args:
        folder: The folder that :func:`~nnunet_femur.predict` wrote. It gets ``review.html`` and ``review.json``.
        ct: CTs, or folders of CTs, named as the masks. Default: the paths that ``predictions.json`` contains.
        marks: A ``review.json`` that was downloaded from the page, whose marks replace those in the folder.
        worst: Largest number of cases in the page: those with the largest review score. Default: all.
        jobs: Number of processes.
        progress: Receives the progress.

    Returns:
        The page, and the marks.

    Raises:
        InputError: The folder does not exist or contains no masks, or a file of marks is invalid.
        SetupError: A file cannot be written.

    Example:
        >>> import nnunet_femur as nf
        >>> import SimpleITK as sitk
        >>> femur = nf.Femur.from_mask(sitk.ReadImage("reference.nrrd"), case="ct")
        >>> _ = femur.save("reviewed", formats=("seg.nrrd",))
        >>> nf.review("reviewed", ct="ct.nrrd")
        Review(reviewed: 1 cases, 0 marked)
    """
    folder = Path(folder)
    if jobs < 1 or (worst is not None and worst < 1):
        msg = f"jobs and worst must be 1 or more, got {jobs} and {worst}."
        raise InputError(msg, code="invalid-option")
    given = [ct] if isinstance(ct, str | PathLike) else list(ct)
    found = find_reviewed(folder, [Path(each) for each in given])
    read_marks(folder / RECORD_FILE)
    given_marks = {} if marks is None else _given_marks(Path(marks))
    running = each(_shown, [(one, folder) for one in found], jobs=jobs, crashed=_crashed)
    by_case: dict[str, _Shown] = {}
    for _, one in track(running, "Checking", len(found), progress=progress):
        by_case[one.checked.found.case] = one
        if worst is not None:
            _drop_pictures(by_case, worst)
    listed = {case: by_case[case].entry for case in sorted(by_case)}
    # Read now, because a server may have saved marks while the masks were checked.
    kept = merged(listed.values(), read_marks(folder / RECORD_FILE) | given_marks)
    ordered = worst_first([one.checked for one in by_case.values()])[:worst]
    write_marks(folder, kept.values())
    page = folder / PAGE_FILE
    write_text(page, _page(folder, [by_case[one.found.case] for one in ordered], kept, listed), durable=False)
    first = [one.found.case for one in ordered]
    marked = (*(kept[case] for case in first), *(mark for case, mark in kept.items() if case not in first))
    return Review(folder, page, marked, {case: one.checked.score for case, one in by_case.items()})


@dataclass(frozen=True, eq=False)
class _Shown:
    """A checked case, without its volumes, and its pictures; None without a mask.

    Attributes:
        entry: The case without a mark, with the checksum of the mask before it was read: if the mask changes meanwhile,
            its mark is about the earlier one.
    """

    checked: CheckedCase
    entry: Mark
    picture: dict[str, Any] | None
    facts: str
    measured: list[dict[str, Any]]


def _given_marks(file: Path) -> dict[str, Mark]:
    if not file.is_file():
        msg = f"{file}: not found. Give the review.json that the page downloaded."
        raise InputError(msg, code="not-found")
    return {case: mark for case, mark in read_marks(file).items() if mark.mark or mark.note}


def _drop_pictures(by_case: dict[str, _Shown], worst: int) -> None:
    """Remove the pictures of a case that is not among the worst: those of all cases may exceed the memory."""
    with_picture = [one for one in by_case.values() if one.picture is not None]
    if len(with_picture) > worst:
        case = worst_first([one.checked for one in with_picture])[-1].found.case
        by_case[case] = replace(by_case[case], picture=None)


def _shown(task: tuple[FoundCase, Path]) -> _Shown:
    found, folder = task
    entry = found.mark(folder)
    checked = check_case(found)
    picture = None if checked.femur is None else encoded_case(checked)
    return _Shown(_light(checked), entry, picture, _facts(checked), checked.measured())


def _crashed(task: tuple[FoundCase, Path]) -> _Shown:
    found, folder = task
    problem = f"{found.case}: its files ended the process that read them. Open them in 3D Slicer."
    return _Shown(CheckedCase(found, None, None, (), problem), found.mark(folder), None, "", [])


def _light(checked: CheckedCase) -> CheckedCase:
    """Return a case without its volumes, which would have to be sent from process to process."""
    return replace(checked, femur=None, ct=None)


def _facts(checked: CheckedCase) -> str:
    femur = checked.femur
    if femur is None:
        return ""
    facts = [f"review score {checked.score:.2f}", femur.side, f"{femur.volume_ml:.0f} ml"]
    facts += [f"{femur.pieces} pieces"] if femur.pieces != 1 else []
    facts += [] if checked.disagreement is None else [f"disagreement of the folds {checked.disagreement:.3f}"]
    return " · ".join(facts)


def _page(folder: Path, shown: Sequence[_Shown], kept: dict[str, Mark], listed: dict[str, Mark]) -> str:
    """Return the page.

    Args:
        folder: The folder of the masks.
        shown: The cases in their order.
        kept: The mark of each case.
        listed: The entry of each case without a mark, with the checksum of the mask as it is now.
    """
    from markupsafe import Markup

    of_page = {one.checked.found.case: one.checked.found for one in shown}
    cases = {
        "id": fingerprint([folder.resolve().as_posix(), *sorted(listed)])[:16],
        "version": __version__,
        "entries": [
            asdict(kept[case])
            | {
                "shown_sha256": listed[case].mask_sha256,
                "status": kept[case].status_in(folder),
                "as_predicted": found.mask is not None and is_as_predicted(found.mask, found.result),
            }
            for case, found in of_page.items()
        ],
        # A downloaded file of marks contains these cases as well, and so may replace review.json.
        "others": [asdict(mark) for case, mark in kept.items() if case not in of_page],
        "cases": [
            {
                "case": one.checked.found.case,
                "score": round(one.checked.score, 4),
                "facts": one.facts,
                "doubts": [list(doubt) for doubt in one.checked.doubts],
                "problem": one.checked.problem,
                "measured": one.measured,
            }
            for one in shown
        ],
    }
    # Cases without a mask have no pictures.
    return (
        page_templates(_TEMPLATES)
        .get_template("review.html.j2")
        .render(
            name=folder.resolve().name,
            cases=cases,
            pictures=[one.picture for one in shown],
            style=Markup((_TEMPLATES / "review.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
            script=Markup((_TEMPLATES / "review.js").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        )
    )
