"""A figure as files, and the look that all figures share."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe & Ito's colours, which stay apart for colour-blind eyes; one per method, in turn."""

TRUTH, PREDICTION = "#56B4E9", "#E69F00"
"""Contours; the prediction is dashed as well."""

INK, SOFT, GRID = "#333333", "#767676", "#e5e5e5"

WIDTH = 7.4
"""Inches of a figure that fills the report's column, and a page of A4 between its margins."""

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
    # The same figure gives the same file.
    "svg.hashsalt": "nnunet_femur",
}


@dataclass(frozen=True)
class Sketch:
    """A figure that is drawn, but no file yet.

    Attributes:
        figure: matplotlib's figure.
        name: Name of its files, without ending.
        section: The part of the report it belongs to.
        caption: What it shows.
        tight: Whether to cut away what stays empty around it.
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
        section: The part of the report it belongs to.
        caption: What it shows.
        png: For the report, at 160 dots per inch.
        svg: For papers.
        wide: Whether it takes the whole width of the report.
        key: Fingerprint of what it was drawn from; see :mod:`~nnunet_femur.comparison.report.figure_cache`.
    """

    name: str
    section: str
    caption: str
    png: bytes
    svg: bytes
    wide: bool = False
    key: str = ""


@contextmanager
def style() -> Iterator[None]:
    """Draw in the look that all figures share."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        yield


def drawn(sketch: Sketch, *, key: str = "") -> Drawing:
    """Turn a figure into files; call it inside :func:`style`."""
    png, svg = io.BytesIO(), io.BytesIO()
    box: Any = {"bbox_inches": "tight", "pad_inches": 0.04} if sketch.tight else {}
    sketch.figure.savefig(png, format="png", dpi=160, metadata={"Software": None}, **box)
    # The layout is found; finding it once more for the second file takes as long as drawing it.
    sketch.figure.set_layout_engine("none")
    sketch.figure.savefig(svg, format="svg", metadata={"Date": None}, **box)
    wide = sketch.figure.get_size_inches()[0] > 0.75 * WIDTH
    return Drawing(sketch.name, sketch.section, sketch.caption, png.getvalue(), svg.getvalue(), bool(wide), key)


def method_colours(methods: Iterable[str]) -> dict[str, str]:
    """A colour for each method, the same in every figure."""
    return {method: COLOURS[place % len(COLOURS)] for place, method in enumerate(dict.fromkeys(methods))}


def bare(axes: Axes, *, grid: str = "") -> None:
    """Take away the frame but for the axes that are read; `grid` is "x", "y" or both."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    for axis in grid:
        axes.grid(axis=axis, color=GRID, linewidth=0.8)  # type: ignore[arg-type]


def rows_of(count: int, most: int = 4) -> tuple[int, int]:
    """Rows and columns of small panels, as even as they go with at most `most` in a row."""
    rows = -(-count // most)
    return rows, -(-count // rows)


def wrapped(label: str) -> str:
    """A label of a small panel, on two lines where it is long."""
    return label if len(label) < 26 else label.replace(" · ", "\n", 1)
