"""Cases of a source: their ids, files and patients."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.imaging.geometry import volume_ending
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_femur.findings import Finding


SETS = ("train", "validation", "test")
"""Sets that a source may give its cases to."""

_SAFE_ID = re.compile(r"[A-Z0-9][A-Z0-9_-]*")
_UNSAFE = re.compile(r"[^A-Z0-9_-]+")
_LONGEST_ID = 64
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}
"""Names that are devices on Windows, whatever their ending."""


@dataclass(frozen=True)
class Case:
    """One femur, or one subject with both: a CT, its masks, and whose it is.

    Attributes:
        id: The case's name in the dataset, a safe file name in upper case.
        patient: Cases of one patient stay together in every split.
        side: "left", "right", "both" or "unknown".
        image: The CT, a file or a folder of DICOM slices, relative to the source's root.
        masks: The masks, relative to the source's root; several are joined.
        set: The set the source wants it in, one of :data:`SETS`; empty where it leaves that open.
    """

    id: str
    patient: str
    side: str
    image: Path
    masks: tuple[Path, ...]
    set: str = ""

    @property
    def mask(self) -> Path:
        """The first mask, and the only one unless the source keeps left and right apart."""
        return self.masks[0]


def safe_id(text: str) -> str:
    """An id as a file name that is safe everywhere and that no other id gives.

    Letters become upper case. Where anything else has to be replaced, a few digits of a hash of the text are added, so
    that ids that differ only there stay apart, whatever other ids there are.
    """
    upper = unicodedata.normalize("NFC", text).strip().upper()
    if _SAFE_ID.fullmatch(upper) and len(upper) <= _LONGEST_ID and upper not in _RESERVED:
        return upper
    readable = _UNSAFE.sub("_", upper).strip("_-")[: _LONGEST_ID - 9] or "CASE"
    return f"{readable}-{hashlib.sha256(upper.encode()).hexdigest()[:8].upper()}"


@dataclass(frozen=True)
class Found:
    """The cases of a source.

    Attributes:
        root: The folder that all files of cases and findings are relative to.
        layout: The layout's name.
        cases: The cases, ordered by id.
        findings: What was found that belongs to no case; with an error among it nothing is converted.
    """

    root: Path
    layout: str
    cases: tuple[Case, ...]
    findings: tuple[Finding, ...]


SIDES = {"l": "left", "left": "left", "r": "right", "right": "right", "both": "both", "b": "both"}
"""What a side may be called, in lower case."""


def named(text: str, file: Path | str) -> tuple[str, list[Finding]]:
    """The id as a safe file name, and the note that it was changed if it was."""
    case = safe_id(text)
    if case == text.strip().upper():
        return case, []
    return case, [finding("id-changed", file, f"has an id that is no safe file name; it became {case}.")]


def stem(file: Path) -> str:
    """A volume's name without its ending, also without ``.seg``."""
    ending = volume_ending(file) or next((each for each in (".dcm", ".dicom") if file.name.lower().endswith(each)), "")
    name = file.name[: len(file.name) - len(ending)]
    return name[:-4] if name.lower().endswith(".seg") else name
