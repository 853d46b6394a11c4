"""The registry of figures.

To add a figure, write a function that yields it from the data of the report, in a new file, and add the function
to :data:`FIGURES`::

    def draw_mine(data: ReportData, reader: SliceReader) -> Iterator[Sketch]: ...

A figure of scores ignores the reader; a figure of slices reads CTs and masks through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nnunet_femur.comparison.report.drawing import Drawing, save_figure, style
from nnunet_femur.comparison.report.figure_cache import read_figures
from nnunet_femur.comparison.report.figures.agreement_plots import draw_agreement
from nnunet_femur.comparison.report.figures.box_plots import draw_boxes
from nnunet_femur.comparison.report.figures.clinical_plots import (
    draw_clinical_agreement,
    draw_clinical_boxes,
    draw_clinical_ranks,
)
from nnunet_femur.comparison.report.figures.curve_plots import draw_training_curves
from nnunet_femur.comparison.report.figures.extreme_slices import draw_extreme_slices
from nnunet_femur.comparison.report.figures.gallery import draw_gallery, draw_planes
from nnunet_femur.comparison.report.figures.method_grid import draw_method_grid
from nnunet_femur.comparison.report.figures.profiles import draw_profiles
from nnunet_femur.comparison.report.figures.ranks import draw_ranks
from nnunet_femur.comparison.report.figures.reliability_plots import draw_reliability
from nnunet_femur.comparison.report.figures.significance import draw_significance
from nnunet_femur.comparison.report.figures.slice_images import SliceReader
from nnunet_femur.errors import FemurError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nnunet_femur.comparison.report.drawing import Sketch
    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.records import Provenance

FIGURES: tuple[Callable[[ReportData, SliceReader], Iterator[Sketch]], ...] = (
    draw_boxes,
    draw_clinical_boxes,
    draw_clinical_ranks,
    draw_clinical_agreement,
    draw_ranks,
    draw_significance,
    draw_reliability,
    draw_agreement,
    draw_profiles,
    draw_extreme_slices,
    draw_method_grid,
    draw_gallery,
    draw_planes,
    draw_training_curves,
)
"""All figures. Those of one section of the report appear in this order."""


class Drawings(NamedTuple):
    """The figures of a report.

    Attributes:
        drawings: The figures that could be drawn.
        problems: Reasons why figures are missing or show no CT, a sentence each.
    """

    drawings: list[Drawing]
    problems: list[str]


def draw_all(data: ReportData, *, provenance: Provenance | None = None, earlier: Path | None = None) -> Drawings:
    """Draw every registered figure. A figure that fails does not stop the others.

    Args:
        data: The data to show.
        provenance: The state of everything that the figures are drawn from, see
            :func:`~nnunet_femur.comparison.report.figure_cache.figure_provenance`; None to draw in any case.
        earlier: Folder of an earlier report. Its figures are used if they have the same provenance.
    """
    if earlier is not None and provenance is not None and (found := read_figures(earlier, provenance)) is not None:
        return Drawings(found, [])
    reader = SliceReader()
    drawings: list[Drawing] = []
    problems: list[str] = []
    with style():
        for draw in FIGURES:
            try:
                drawings += [save_figure(sketch) for sketch in draw(data, reader)]
            except Exception as error:  # noqa: BLE001 - a report without one figure is better than no report
                reason = str(error) if isinstance(error, FemurError) else type(error).__name__
                problems.append(f"Figure {draw.__name__.removeprefix('draw_')} could not be drawn ({reason}).")
    problems += reader.problems.values()
    return Drawings(drawings, problems)
