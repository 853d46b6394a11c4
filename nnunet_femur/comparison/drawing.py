"""A figure as files, and the look that all figures share."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe & Ito's colours, which stay apart for colour-blind eyes; one per method, in turn."""

INK = "#333333"

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
class Drawing:
    """A figure of the report.

    Attributes:
        name: Name of its files, without ending.
        section: The part of the report it belongs to.
        caption: What it shows.
        png: For the report, at 160 dots per inch.
        svg: For papers.
    """

    name: str
    section: str
    caption: str
    png: bytes
    svg: bytes


@contextmanager
def style() -> Iterator[None]:
    """Draw in the look that all figures share."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        yield


def drawn(figure: Figure, *, name: str, section: str, caption: str) -> Drawing:
    """Turn a figure into files; call it inside :func:`style`."""
    png, svg = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=160, metadata={"Software": None})
    figure.savefig(svg, format="svg", metadata={"Date": None})
    return Drawing(name, section, caption, png.getvalue(), svg.getvalue())
