"""Layouts of a source folder, one module each.

To add a layout, write a module that defines a :class:`~nnunet_femur.conversion.cases.Layout`, and add it to
:data:`LAYOUTS`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nnunet_femur.arguments import require_one_of
from nnunet_femur.conversion.layouts import pairs, table, totalsegmentator
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.geometry import volume_ending
from nnunet_femur.kinds import finding
from nnunet_femur.progress import SILENT, Progress

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_femur.conversion.cases import Found, Layout
    from nnunet_femur.conversion.options import ConversionOptions

__all__ = ["AUTO", "LAYOUTS", "find_cases"]

LAYOUTS: dict[str, Layout] = {each.name: each for each in (pairs.LAYOUT, totalsegmentator.LAYOUT, table.LAYOUT)}
"""Layouts by name. To detect the layout of a source, they are tried in this order."""

AUTO = "auto"
"""Name of the choice to detect the layout."""


def find_cases(source: Path, options: ConversionOptions, *, progress: Progress = SILENT) -> Found:
    """Return the cases of a source, in the layout of the options or the one that is detected.

    Args:
        source: A folder, or a table of files (layout "csv").
        options: Options about the files.
        progress: Receives the progress of layouts that read masks to find the cases.

    Returns:
        The cases and findings. If the layout was detected, a note gives the layout and the reason.

    Raises:
        InputError: The layout is unknown, or the source does not exist, does not fit the layout or contains no cases.
    """
    require_one_of("layout", options.layout, (AUTO, *LAYOUTS))
    if not source.exists():
        msg = f"{source}: not found. Give the folder that contains {options.images_folder}, or a table of cases."
        raise InputError(msg, code="not-found")
    if source.is_file() and options.layout == AUTO and volume_ending(source):
        msg = f"{source}: is one volume. Give the folder that contains the CTs and the masks, or a table of cases."
        raise InputError(msg, code="invalid-option")
    layout, reason = (LAYOUTS[options.layout], "") if options.layout != AUTO else _detected(source, options)
    if not (source.is_dir() or layout.reads_files):
        msg = f"{source}: the layout {layout.name} needs a folder, got a file. Give the folder, or --layout csv."
        raise InputError(msg, code="invalid-option")
    found = layout.find(source, options, progress)
    if not reason:
        return found
    note = finding("layout", ".", f"was read in the layout {layout.name}, because {reason}.")
    return replace(found, findings=(note, *found.findings))


def _detected(source: Path, options: ConversionOptions) -> tuple[Layout, str]:
    """Return the layout of a source, and the reason."""
    for layout in LAYOUTS.values():
        reason = layout.recognise(source, options)
        if reason is not None:
            return layout, reason
    # Most sources are meant to have this layout, so its error message is the most helpful one.
    return pairs.LAYOUT, "it has none of the other layouts"
