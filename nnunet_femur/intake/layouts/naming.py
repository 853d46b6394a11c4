"""Ids of files, and cases of one id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.imaging.geometry import volume_ending
from nnunet_femur.intake.cases import safe_id
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_femur.findings import Finding

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
