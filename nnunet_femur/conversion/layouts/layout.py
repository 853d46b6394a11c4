"""Interface of a layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nnunet_femur.conversion.cases import Found
    from nnunet_femur.conversion.options import ConversionOptions
    from nnunet_femur.progress import Progress


@dataclass(frozen=True)
class Layout:
    """An arrangement of the files of a source.

    Attributes:
        name: Name of the layout, as in ``--layout NAME``.
        find: Returns the cases of a source, given the source, the options and the progress.
        recognise: Returns the reason why a source has this layout, or None if it has another one.
        reads_files: The source may be a file instead of a folder.
    """

    name: str
    find: Callable[[Path, ConversionOptions, Progress], Found]
    recognise: Callable[[Path, ConversionOptions], str | None]
    reads_files: bool = False
