"""Marks of a review, stored as ``review.json`` beside the masks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from nnunet_femur.atomic_files import write_json
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.sources import digest
from nnunet_femur.prediction.results import REVIEW
from nnunet_femur.records import read_json
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

RECORD_FILE = REVIEW
"""Name of the file with the marks, in the folder of the masks."""

ACCEPT, CORRECT, REJECT = MARKS = ("accept", "correct", "reject")
"""Marks that a reviewer can give."""

STATUSES = {
    "unmarked": "The case has no mark.",
    "accepted": "The mask was accepted, and is unchanged since.",
    "changed": "The mask was accepted, and was changed afterwards. Review it again.",
    "to correct": "The mask is to be corrected, and is still as it was when it was marked.",
    "corrected": "The mask was marked to be corrected, and was changed since.",
    "rejected": "The case is not to be used.",
    "missing": "The file of the mask does not exist.",
}
"""Meaning of each :attr:`Mark.status_in`."""

USABLE = ("accepted", "corrected")
"""Statuses of the masks that may become references."""

_MADE_BY = "nnunet_femur"


@dataclass(frozen=True)
class Mark:
    """One case of a review.

    Attributes:
        case: Name of the case.
        mask: Name of the mask's file in the folder.
        mask_sha256: SHA-256 of the mask that was shown when the case was marked.
        ct: Path of the CT relative to the folder of the masks; empty if it was not found.
        mark: "accept", "correct", "reject", or empty.
        note: Text of the reviewer.

    Example:
        >>> from pathlib import Path
        >>> Mark("L001", "L001.seg.nrrd", "3f2a", "../scans/L001.nrrd", mark="accept").status_in(Path("out"))
        'missing'
    """

    case: str
    mask: str
    mask_sha256: str
    ct: str
    mark: str = ""
    note: str = ""

    def status_in(self, folder: Path) -> str:
        """Return the status of the case, one of :data:`STATUSES`, by its mark and the mask as it is now.

        Args:
            folder: The folder of the masks.
        """
        if not self.mark:
            return "unmarked"
        if self.mark == REJECT:
            return "rejected"
        path = folder / self.mask
        if not self.mask or not path.exists():
            return "missing"
        unchanged = digest(path) == self.mask_sha256
        if self.mark == ACCEPT:
            return "accepted" if unchanged else "changed"
        return "to correct" if unchanged else "corrected"


def read_marks(file: Path) -> dict[str, Mark]:
    """Return the marks in a file by case; empty if the file does not exist.

    Args:
        file: A ``review.json``.

    Raises:
        InputError: The file is not of this form (code "invalid-file").
    """
    if not file.exists():
        return {}
    return marks_of(read_json(file), str(file))


def marks_of(content: Any, name: str) -> dict[str, Mark]:
    """Return the marks in the content of a ``review.json`` by case.

    Args:
        content: The content.
        name: The file, as the message names it.

    Raises:
        InputError: The content is not of this form (code "invalid-file").
    """
    try:
        marks = [Mark(**{one.name: str(each.get(one.name, "")) for one in fields(Mark)}) for each in content["cases"]]
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"{name}: is not a record of a review. Write it with nnfemur review."
        raise InputError(msg, code="invalid-file") from error
    for each in marks:
        plain = each.case and not {"/", "\\"} & set(each.case + each.mask)
        if each.mark not in ("", *MARKS) or not plain or each.mask in (".", ".."):
            msg = f"{name}: the entry of {each.case!r} has an invalid mark or name. Mark it again with nnfemur review."
            raise InputError(msg, code="invalid-file")
    return {each.case: each for each in marks}


def merged(shown: Iterable[Mark], earlier: Mapping[str, Mark]) -> dict[str, Mark]:
    """Return the marks of the cases that are shown: those given earlier, and no mark for the others.

    Args:
        shown: The cases of the folder now.
        earlier: Marks of an earlier review.
    """
    return {each.case: earlier[each.case] if _same_mask(each, earlier.get(each.case)) else each for each in shown}


def _same_mask(shown: Mark, earlier: Mark | None) -> bool:
    return earlier is not None and bool(earlier.mark or earlier.note) and earlier.mask == shown.mask


def write_marks(folder: Path, marks: Iterable[Mark]) -> Path:
    """Write the marks of a folder, whole or not at all, and return the file.

    Args:
        folder: The folder of the masks.
        marks: All cases of the review.
    """
    file = folder / RECORD_FILE
    write_json(file, as_record(marks))
    return file


def as_record(marks: Iterable[Mark]) -> dict[str, Any]:
    """Return the content of ``review.json``.

    Args:
        marks: All cases of the review.

    Example:
        >>> as_record([Mark("L001", "L001.nrrd", "3f2a", "")])["cases"][0]["case"]
        'L001'
    """
    ordered = sorted(marks, key=lambda each: each.case)
    return {"made_by": _MADE_BY, "version": __version__, "cases": [asdict(each) for each in ordered]}
