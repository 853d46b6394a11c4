"""The registry of figures: a figure is one file and one line in :data:`FIGURES`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from nnunet_femur.comparison.report.drawing import Drawing, drawn, style
from nnunet_femur.comparison.report.figure_cache import kept_drawings
from nnunet_femur.comparison.report.figures.agreement_plots import draw_agreement
from nnunet_femur.comparison.report.figures.album import Album
from nnunet_femur.comparison.report.figures.boxes import draw_boxes
from nnunet_femur.comparison.report.figures.gallery import draw_gallery, draw_planes
from nnunet_femur.comparison.report.figures.grid import draw_grid
from nnunet_femur.comparison.report.figures.profiles import draw_profiles
from nnunet_femur.comparison.report.figures.ranks import draw_ranks
from nnunet_femur.comparison.report.figures.significance import draw_significance
from nnunet_femur.comparison.report.figures.slices import draw_slices
from nnunet_femur.errors import FemurError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nnunet_femur.comparison.report.drawing import Sketch
    from nnunet_femur.comparison.report.report_data import ReportData

FIGURES: tuple[Callable[[ReportData, Album], Iterator[Sketch]], ...] = (
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


class Drawings(NamedTuple):
    """The figures of a report.

    Attributes:
        drawings: Those that could be drawn.
        problems: Why others are missing or show no CT, a sentence each.
    """

    drawings: list[Drawing]
    problems: list[str]


def draw_all(findings: ReportData, *, key: str = "", kept: Path | None = None) -> Drawings:
    """Draw every registered figure; one that fails does not stop the others.

    Args:
        findings: What to show.
        key: Fingerprint of all that is drawn from.
        kept: The folder of an earlier report; its figures are taken over if they carry the same key.
    """
    if kept is not None and (found := kept_drawings(kept, key)) is not None:
        return Drawings(found, [])
    album = Album()
    drawings: list[Drawing] = []
    problems: list[str] = []
    with style():
        for draw in FIGURES:
            try:
                drawings += [drawn(sketch, key=key) for sketch in draw(findings, album)]
            except Exception as error:  # noqa: BLE001 - the scores are worth more than a figure of them
                reason = str(error) if isinstance(error, FemurError) else type(error).__name__
                problems.append(f"{draw.__name__.removeprefix('draw_')}: this figure could not be drawn ({reason}).")
    problems += album.problems.values()
    # Without a key they are drawn again by the next run, and so named again.
    return Drawings([replace(one, key="") for one in drawings] if problems else drawings, problems)
