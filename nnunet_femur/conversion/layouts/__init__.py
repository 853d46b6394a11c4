"""How the files of a source may lie, one module per layout, and which of them a source has.

A further layout is a module with a function that gives :class:`Found`, a line in `find_cases` and one in `_recognised`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nnunet_femur.conversion.cases import Found
from nnunet_femur.conversion.layouts.pairs import find_pairs, subfolder
from nnunet_femur.conversion.layouts.table import find_rows, is_table
from nnunet_femur.conversion.layouts.totalsegmentator import IMAGE_NAME, find_subjects, subjects
from nnunet_femur.errors import InputError
from nnunet_femur.kinds import finding
from nnunet_femur.progress import SILENT, Progress

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_femur.conversion.options import IntakeOptions

__all__ = ["Found", "find_cases"]


def find_cases(source: Path, options: IntakeOptions, *, progress: Progress = SILENT) -> Found:
    """The cases of a source, by the layout of the options or the one that the source shows.

    Args:
        source: A folder, or a table of files (layout "csv").
        options: How the files are found.
        progress: Receives the progress where masks must be read to choose.

    Returns:
        The cases and what was found; where the layout was to be found out, a note says which it is and why.

    Raises:
        InputError: The source is missing, has none of the layouts, or holds nothing.
    """
    if not source.exists():
        msg = f"{source}: there is no such folder or table. Give the folder that holds {options.images_folder}."
        raise InputError(msg)
    layout, reason = (options.layout, "") if options.layout != "auto" else _recognised(source, options)
    if layout != "csv" and not source.is_dir():
        msg = f"{source}: is no folder, as the layout {layout} needs it. Give the folder, or --layout csv."
        raise InputError(msg)
    if layout == "csv":
        found = find_rows(_table(source))
    elif layout == "totalsegmentator":
        found = find_subjects(source, options, progress)
    else:
        found = find_pairs(source, options)
    if not reason:
        return found
    note = finding("layout", ".", f"was read in the layout {layout}, since {reason}.")
    return replace(found, findings=(note, *found.findings))


def _recognised(source: Path, options: IntakeOptions) -> tuple[str, str]:
    """The layout that a source shows, and by what."""
    if source.is_file():
        return "csv", "the source is a file"
    names = (options.images_folder, options.masks_folder)
    if all(subfolder(source, name) for name in names):
        return "pairs", f"it holds the folders {names[0]} and {names[1]}"
    found = subjects(source)
    if found:
        return "totalsegmentator", f"{len(found)} folder(s) in it, {found[0].name} for one, hold {IMAGE_NAME}"
    tables = _tables(source)
    if tables:
        return "csv", f"it holds the table {tables[0].name}"
    # What is missing is said best by the layout that most sources are meant to have.
    return "pairs", f"no folder in it holds {IMAGE_NAME}, and there is no table of cases"


def _tables(source: Path) -> list[Path]:
    return [path for path in sorted(source.iterdir()) if is_table(path)]


def _table(source: Path) -> Path:
    if source.is_file():
        return source
    tables = _tables(source)
    if len(tables) != 1:
        names = ", ".join(path.name for path in tables) or "none"
        msg = f"{source}: holds {len(tables)} tables of cases ({names}). Give the one that is meant."
        raise InputError(msg)
    return tables[0]
