"""Galleries of a case: the slices of a femur's two ends, and its three planes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import PREDICTION, TRUTH, WIDTH, Sketch
from nnunet_femur.comparison.report.figures.album import Album, Picture, View
from nnunet_femur.comparison.report.figures.panels import (
    HEAD_SLICES,
    MARGIN_MM,
    WINDOW_HU,
    ends_only,
    example,
    frame_mm,
    legend,
    outline,
    show,
)
from nnunet_femur.comparison.report.tables.scores import slug
from nnunet_femur.evaluation import PLANES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from nnunet_femur.comparison.report.report_data import ReportData


_ACROSS = 5
"""Pairs in a row."""

_GAP = 2
"""Pixels between tiles, of the pictures' own size."""


def draw_gallery(findings: ReportData, album: Album) -> Iterator[Sketch]:
    """One figure: a median case of the best method."""
    from matplotlib.figure import Figure

    shown = example(findings)
    if shown is None:
        return
    one = shown.best_prediction
    reference = album.reference(one, shown.case).voxels
    indices = ends_only(np.flatnonzero(reference.any(axis=(1, 2))), HEAD_SLICES)
    if not indices:
        return
    views = [View(one, shown.case, index) for index in indices]
    pictures = album.cut(views)
    tiles = [pictures[view.key] for view in views]
    grey, left, right = _montage(tiles)
    step = tiles[0].step_mm
    height, width = grey.shape
    ratio = height * step[0] / (width * step[1])
    figure = Figure(figsize=(WIDTH, WIDTH * ratio + 0.4), layout="compressed")
    axes = figure.subplots()
    extent = (-0.5 * step[1], (width - 0.5) * step[1], -0.5 * step[0], (height - 0.5) * step[0])
    low, high = WINDOW_HU
    axes.imshow(grey, cmap="gray", vmin=low, vmax=high, origin="lower", extent=extent)
    for mask, colour, dash in ((left, TRUTH, "-"), (right, PREDICTION, "-")):
        outline(axes, mask, step, colour=colour, dash=dash, line=0.9)
    _number(axes, indices, (height, width), step)
    axes.set_axis_off()
    legend(figure, dash="-")
    which = (
        "all its axial slices"
        if len(indices) < 2 * HEAD_SLICES
        else f"the first and the last {HEAD_SLICES} axial slices"
    )
    yield Sketch(
        figure,
        name=slug("gallery", shown.group.dataset),
        section=sections.GALLERY,
        caption=f"Case {shown.case}, {which} from the head down to the condyles, with their numbers: reference (left of "
        f"each pair) beside the prediction of {shown.best_label} (right).",
    )


def _montage(tiles: Sequence[Picture]) -> tuple[NDArray, NDArray[np.bool_], NDArray[np.bool_]]:
    """Pairs of tiles in rows from top to bottom: the CT twice, the reference left and the prediction right."""
    box = _box(tiles)
    shape = tuple(part.stop - part.start for part in box)
    high, wide = shape[0] + _GAP, 2 * shape[1] + 3 * _GAP
    rows = -(-len(tiles) // _ACROSS)
    across = min(_ACROSS, len(tiles))
    grey = np.full((rows * high, across * wide), float(WINDOW_HU[1]))
    masks = [np.zeros(grey.shape, bool) for _ in range(2)]
    for place, tile in enumerate(tiles):
        top = (rows - 1 - place // _ACROSS) * high
        for half, mask in enumerate((tile.reference, tile.prediction)):
            start = (place % _ACROSS) * wide + half * (shape[1] + 1)
            spot = (slice(top, top + shape[0]), slice(start, start + shape[1]))
            grey[spot] = WINDOW_HU[0] if tile.grey is None else tile.grey[box]
            masks[half][spot] = mask[box]
    return grey, masks[0], masks[1]


def _box(tiles: Sequence[Picture]) -> tuple[slice, slice]:
    """The part of the picture that holds the bone in every tile, with a margin."""
    bone = np.logical_or.reduce([tile.bone for tile in tiles])
    parts = []
    for axis, step in zip((1, 0), tiles[0].step_mm, strict=True):
        held_at = bone.any(axis=axis)
        held = np.flatnonzero(held_at)
        margin = round(MARGIN_MM / 2 / step)
        parts.append(slice(max(0, int(held[0]) - margin), min(len(held_at), int(held[-1]) + margin + 1)))
    return parts[0], parts[1]


def _number(axes: Axes, indices: Sequence[int], shape: tuple[int, int], step: tuple[float, float]) -> None:
    from matplotlib.patheffects import withStroke

    rows, across = -(-len(indices) // _ACROSS), min(_ACROSS, len(indices))
    high, wide = shape[0] / rows * step[0], shape[1] / across * step[1]
    for place, index in enumerate(indices):
        axes.text(
            (place % _ACROSS) * wide + 0.02 * wide,
            (rows - place // _ACROSS) * high - 0.05 * high - _GAP * step[0],
            str(index),
            color="white",
            fontsize=5.5,
            va="top",
            path_effects=[withStroke(linewidth=1.5, foreground="#000000b0")],
        )


def draw_planes(findings: ReportData, album: Album) -> Iterator[Sketch]:
    """One figure: a median case of the best method, in each plane the slice that holds most of the bone."""
    from matplotlib.figure import Figure

    shown = example(findings)
    if shown is None:
        return
    one = shown.best_prediction
    reference = album.reference(one, shown.case).voxels
    if not reference.any():
        return
    views = {}
    for axis, plane in enumerate(PLANES):
        others = tuple(other for other in range(3) if other != axis)
        views[plane] = View(one, shown.case, int(reference.sum(axis=others).argmax()), plane)
    pictures = album.cut(views.values())
    # The bone is long and thin: two planes stand side by side, the third beside them, the CT above its contours.
    figure = Figure(figsize=(WIDTH, 5.2), layout="constrained")
    widths = [_width(pictures[views[plane].key]) for plane in ("coronal", "coronal", "sagittal", "sagittal")]
    spots = figure.add_gridspec(2, 5, width_ratios=[*widths, max(0.4, WIDTH / 5.0 - sum(widths))])
    places = {
        "coronal": (spots[:, 0], spots[:, 1]),
        "sagittal": (spots[:, 2], spots[:, 3]),
        "axial": (spots[0, 4], spots[1, 4]),
    }
    for plane, (plain, drawn) in places.items():
        for spot, contours in ((plain, False), (drawn, True)):
            axes = figure.add_subplot(spot)
            show(axes, pictures[views[plane].key], square=plane == "axial", contours=contours, line=1.0)
            if not contours:
                axes.set_title(f"{plane} {views[plane].index}", loc="left", fontsize=8)
    legend(figure)
    yield Sketch(
        figure,
        name=slug("planes", shown.group.dataset),
        section=sections.PLANES,
        caption=f"Case {shown.case}: the CT, and beside or below it the contours of the reference and of the prediction of "
        f"{shown.best_label}. Of each plane the slice that holds most of the bone.",
    )


def _width(picture: Picture) -> float:
    """Width of a picture of height 1."""
    (bottom, top), (left, right) = frame_mm(picture, square=False)
    return (right - left) / (top - bottom)
