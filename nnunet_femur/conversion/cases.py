"""Cases of a source folder, the layouts that find them, and their ids and sets."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nnunet_femur.conversion.options import ConversionOptions
    from nnunet_femur.findings import Finding
    from nnunet_femur.progress import Progress


TRAIN, VALIDATION, TEST = SETS = ("train", "validation", "test")
"""The sets of a split."""

_SET_WORDS = {
    **dict.fromkeys((TRAIN, "training", "tr"), TRAIN),
    **dict.fromkeys((VALIDATION, "val", "valid"), VALIDATION),
    **dict.fromkeys((TEST, "testing", "ts"), TEST),
}


@dataclass(frozen=True)
class Case:
    """One femur, or both femurs of a subject: a CT, its masks and the patient.

    Attributes:
        id: Name of the case in the dataset, a safe file name in upper case.
        patient: Identifies the patient; cases of one patient are in the same set and fold.
        side: "left", "right", "both" or "unknown".
        image: The CT, a file or a folder of DICOM slices, relative to the root of the source.
        masks: The masks, relative to the root of the source; several are joined.
        set: The set that the source assigns, one of :data:`SETS`; empty if it assigns none.
    """

    id: str
    patient: str
    side: str
    image: Path
    masks: tuple[Path, ...]
    set: str = ""

    @property
    def mask(self) -> Path:
        """First mask; the only one unless the source stores left and right femur separately."""
        return self.masks[0]


@dataclass(frozen=True)
class Found:
    """Cases of a source folder.

    Attributes:
        root: The folder that all files of cases and findings are relative to.
        layout: Name of the layout.
        cases: The cases, ordered by id.
        findings: Findings that belong to no case; an error among them prevents the conversion.
        leaves_out: True to leave out cases with errors, also without the option ``skip_bad``.
    """

    root: Path
    layout: str
    cases: tuple[Case, ...]
    findings: tuple[Finding, ...]
    leaves_out: bool = False


@dataclass(frozen=True)
class Layout:
    """An arrangement of the files of a source.

    Attributes:
        name: Name of the layout, as in ``--layout NAME``.
        find: Returns the cases of a source, given the source, the options and the receiver of progress.
        recognise: Returns the reason why a source has this layout, or None if it does not have it.
        reads_files: True if the source may be a file instead of a folder.
    """

    name: str
    find: Callable[[Path, ConversionOptions, Progress], Found]
    recognise: Callable[[Path, ConversionOptions], str | None]
    reads_files: bool = False


def set_called(word: str) -> str:
    """Return the set that a table means by a word such as ``val`` or ``Training``, or an empty string.

    Example:
        >>> set_called("val"), set_called("Training"), set_called("?")
        ('validation', 'train', '')
    """
    return _SET_WORDS.get(word.strip().lower(), "")


_SAFE_ID = re.compile(r"[A-Z0-9][A-Z0-9_-]*")

_UNSAFE = re.compile(r"[^A-Z0-9_-]+")

_LONGEST_ID = 64

_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}
"""Names of devices on Windows, which no file may have."""


def safe_id(text: str) -> str:
    """Return an id as a file name that is safe on every system and that no other id results in.

    Letters become upper case. If other characters have to be replaced, digits of a hash of the text are added, so that
    ids that differ only in these characters remain different.

    Example:
        >>> safe_id("l442"), safe_id("a b")
        ('L442', 'A_B-FEA4C5CE')
    """
    upper = unicodedata.normalize("NFC", text).strip().upper()
    if _SAFE_ID.fullmatch(upper) and len(upper) <= _LONGEST_ID and upper not in _RESERVED:
        return upper
    readable = _UNSAFE.sub("_", upper).strip("_-")[: _LONGEST_ID - 9] or "CASE"
    return f"{readable}-{hashlib.sha256(upper.encode()).hexdigest()[:8].upper()}"


def named(text: str, file: Path | str) -> tuple[str, list[Finding]]:
    """Return an id as a safe file name, and the finding about it if it was changed.

    Args:
        text: The id in the source.
        file: The file that the finding is about.
    """
    case = safe_id(text)
    if case == text.strip().upper():
        return case, []
    return case, [finding("id-changed", file, f"has an id that is not a safe file name; it was changed to {case}.")]
