"""How the files of a source may lie, one module per layout, and which of them a source has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.intake.layouts.found import Found
from nnunet_femur.progress import silent

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_femur.intake.options import IntakeOptions
    from nnunet_femur.progress import Track

__all__ = ["Found", "find_cases"]


def find_cases(source: Path, options: IntakeOptions, *, track: Track = silent) -> Found:
    """The cases of a source, by the layout of the options or the one that the source shows.

    Args:
        source: A folder, or a table of files (layout "csv").
        options: How the files are found.
        track: Shows the progress where masks must be read to choose.

    Raises:
        InputError: The source is missing, has none of the layouts, or holds nothing.
    """
    from nnunet_femur.intake.pairing import find_pairs

    cases, findings = find_pairs(
        source,
        images_folder=options.images_folder,
        masks_folder=options.masks_folder,
        id_pattern=options.id_pattern,
    )
    return Found(source, "pairs", tuple(cases), tuple(findings))
