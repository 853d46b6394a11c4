"""The registry of figures: a figure is one file and one line in :data:`FIGURES`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.drawing import Drawing, drawn, style
from nnunet_femur.comparison.figures.agreement import draw_agreement
from nnunet_femur.comparison.figures.album import Album
from nnunet_femur.comparison.figures.boxes import draw_boxes
from nnunet_femur.comparison.figures.gallery import draw_gallery
from nnunet_femur.comparison.figures.grid import draw_grid
from nnunet_femur.comparison.figures.planes import draw_planes
from nnunet_femur.comparison.figures.profiles import draw_profiles
from nnunet_femur.comparison.figures.ranks import draw_ranks
from nnunet_femur.comparison.figures.significance import draw_significance
from nnunet_femur.comparison.figures.slices import draw_slices
from nnunet_femur.comparison.keeping import kept_drawings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nnunet_femur.comparison.drawing import Sketch
    from nnunet_femur.comparison.findings import Findings

FIGURES: tuple[Callable[[Findings, Album], Iterator[Sketch]], ...] = (
    draw_boxes,
    draw_ranks,
    draw_significance,
    draw_agreement,
    draw_profiles,
    draw_slices,
    draw_grid,
    draw_gallery,
    draw_planes,
)
"""What is drawn, in the order of the report; drawings of one section stand together."""


def draw_all(findings: Findings, *, key: str = "", kept: Path | None = None) -> list[Drawing]:
    """Draw every registered figure.

    Args:
        findings: What to show.
        key: Fingerprint of all that is drawn from.
        kept: The folder of an earlier report; its figures are taken over if they carry the same key.

    Raises:
        InputError: A mask or CT cannot be read.
    """
    if kept is not None and (found := kept_drawings(kept, key)) is not None:
        return found
    album = Album()
    with style():
        return [drawn(sketch, key=key) for draw in FIGURES for sketch in draw(findings, album)]
