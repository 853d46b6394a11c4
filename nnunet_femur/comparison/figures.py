"""The registry of figures: a figure is one file and one line in :data:`FIGURES`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.boxes import draw_boxes
from nnunet_femur.comparison.slices import draw_slices

if TYPE_CHECKING:
    from collections.abc import Callable

    from nnunet_femur.comparison.drawing import Drawing
    from nnunet_femur.comparison.scoring import Scored

FIGURES: tuple[Callable[[Scored], list[Drawing]], ...] = (draw_boxes, draw_slices)
"""What is drawn, in the order of the report; drawings of one section stand together."""


def draw_all(scored: Scored) -> list[Drawing]:
    """Draw every registered figure."""
    return [drawing for draw in FIGURES for drawing in draw(scored)]
