"""Figures as files, and the style and layouts that figures share."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours of the methods, in turn: those of Okabe & Ito (2008), which colour-blind readers can distinguish."""

REFERENCE, PREDICTION = "#56B4E9", "#E69F00"
"""Colours of contours."""

INK, SOFT, GRID = "#333333", "#767676", "#e5e5e5"

WIDTH = 7.4
"""Width in inches of a figure that fills the column of the report, or an A4 page between its margins."""

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.edgecolor": "#999999",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    # Equal figures give equal SVG files.
    "svg.hashsalt": "nnunet_femur",
}


@dataclass(frozen=True)
class Sketch:
    """A figure before it is turned into files.

    Attributes:
        figure: matplotlib's figure.
        name: Name of its files, without ending.
        section: Section of the report, see :mod:`~nnunet_femur.comparison.report.sections`.
        caption: Caption in the report.
        tight: Crop empty margins.
    """

    figure: Figure
    name: str
    section: str
    caption: str
    tight: bool = False


@dataclass(frozen=True)
class Drawing:
    """A figure of the report.

    Attributes:
        name: Name of its files, without ending.
        section: Section of the report, see :mod:`~nnunet_femur.comparison.report.sections`.
        caption: Caption in the report.
        png: The figure as PNG with 160 dots per inch.
        svg: The figure as SVG.
        wide: True if it fills the width of the report.
    """

    name: str
    section: str
    caption: str
    png: bytes
    svg: bytes
    wide: bool = False


@contextmanager
def style() -> Iterator[None]:
    """Apply the style that all figures share."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        yield


def save_figure(sketch: Sketch) -> Drawing:
    """Turn a figure into files. Call it inside :func:`style`."""
    png, svg = io.BytesIO(), io.BytesIO()
    box: Any = {"bbox_inches": "tight", "pad_inches": 0.04} if sketch.tight else {}
    sketch.figure.savefig(png, format="png", dpi=160, metadata={"Software": None}, **box)
    # The layout is computed already; computing it again for the second file takes as long as drawing.
    sketch.figure.set_layout_engine("none")
    sketch.figure.savefig(svg, format="svg", metadata={"Date": None}, **box)
    wide = sketch.figure.get_size_inches()[0] > 0.75 * WIDTH
    return Drawing(sketch.name, sketch.section, sketch.caption, png.getvalue(), svg.getvalue(), bool(wide))


def method_colours(methods: Iterable[str]) -> dict[str, str]:
    """Return a colour for each method, the same in every figure."""
    return {method: COLOURS[number % len(COLOURS)] for number, method in enumerate(dict.fromkeys(methods))}


def method_panels(labels: Sequence[str], *, panel_height: float, xlabel: str, ylabel: str) -> tuple[Figure, list[Axes]]:
    """Return a figure with a small panel for each method, all with the same axes.

    Args:
        labels: Titles of the panels.
        panel_height: Height of a panel in inches.
        xlabel: Label of the horizontal axes.
        ylabel: Label of the vertical axes.
    """
    from matplotlib.figure import Figure

    rows, columns = rows_and_columns(len(labels))
    width = WIDTH if columns > 1 else 0.6 * WIDTH
    figure = Figure(figsize=(width, 0.5 + panel_height * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, label in zip(panels, labels, strict=False):
        axes.set_title(_wrapped(label), loc="left", fontsize=7)
        clear_frame(axes, grid="y")
    for axes in panels[len(labels) :]:
        axes.set_axis_off()
    # The lowest panel of each column shows the numbers of its axis.
    for axes in panels[max(0, len(labels) - columns) : len(labels)]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel(xlabel, fontsize=9)
    figure.supylabel(ylabel, fontsize=9)
    return figure, list(panels[: len(labels)])


def method_rows(labels: Sequence[str], panels: int, *, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels side by side, in which each method has a row: the first at height 0, on top.

    Args:
        labels: Labels of the rows.
        panels: Number of panels.
        height: Height of the figure in inches.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    found = figure.subplots(1, panels, squeeze=False, sharey=True)[0]
    found[0].set_yticks(range(len(labels)), labels)
    found[0].set_ylim(len(labels) - 0.5, -0.5)
    for axes in found:
        axes.tick_params(axis="y", length=0)
        clear_frame(axes, grid="x")
        axes.spines["left"].set_visible(False)
    return figure, list(found)


def clear_frame(axes: Axes, *, grid: str = "") -> None:
    """Remove the upper and the right edge of a panel, and draw grid lines of the axes "x", "y" or "xy"."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    for axis in grid:
        axes.grid(axis=axis, color=GRID, linewidth=0.8)  # type: ignore[arg-type]


def rows_and_columns(count: int, most: int = 4) -> tuple[int, int]:
    """Return rows and columns of a grid of panels, with at most `most` columns and rows as even as possible.

    Example:
        >>> rows_and_columns(5), rows_and_columns(9)
        ((2, 3), (3, 3))
    """
    rows = -(-count // most)
    return rows, -(-count // rows)


def _wrapped(label: str) -> str:
    """Break the label of a small panel into two lines if it is long."""
    return label if len(label) < 26 else label.replace(" · ", "\n", 1)
