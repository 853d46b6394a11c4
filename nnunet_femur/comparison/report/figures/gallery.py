"""Slices of one example case: those of both femur ends, and one in each of the three planes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import PREDICTION, REFERENCE, WIDTH, Sketch
from nnunet_femur.comparison.report.figures.slice_images import SliceImage, SliceReader, SliceView
from nnunet_femur.comparison.report.figures.slice_panels import (
    MARGIN_MM,
    WINDOW_HU,
    choose_example,
    contour_legend,
    draw_contour,
    draw_slice,
    frame_mm,
    show_ct,
)
from nnunet_femur.comparison.report.report_data import file_name
from nnunet_femur.evaluation import PLANES
from nnunet_femur.evaluation.regions import END_SLICES, end_slices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from nnunet_femur.comparison.report.report_data import ReportData


_PAIRS = 5
"""Pairs of reference and prediction in a row."""

_GAP = 2
"""Gap between pairs, in pixels of the CT."""


def draw_gallery(data: ReportData, reader: SliceReader) -> Iterator[Sketch]:
    """Draw the axial slices of both femur ends, for a median case of the best method."""
    from matplotlib.figure import Figure

    example = choose_example(data)
    if example is None:
        return
    # From the head down to the condyles.
    indices = np.flatnonzero(end_slices(example.reference(reader).sum(axis=(1, 2))))[::-1].tolist()
    if not indices:
        return
    views = [SliceView(example.best_predictions, example.case, index) for index in indices]
    found = reader.read(views)
    images = [found[view.key] for view in views]
    ct, left, right = _montage(images)
    spacing_mm = images[0].spacing_mm
    height, width = ct.shape
    ratio = height * spacing_mm[0] / (width * spacing_mm[1])
    figure = Figure(figsize=(WIDTH, WIDTH * ratio + 0.4), layout="compressed")
    axes = figure.subplots()
    show_ct(axes, ct, spacing_mm)
    for mask, colour in ((left, REFERENCE), (right, PREDICTION)):
        draw_contour(axes, mask, spacing_mm, colour=colour, line_width=0.9)
    _draw_slice_numbers(axes, indices, (height, width), spacing_mm)
    axes.set_axis_off()
    contour_legend(figure, dash="-")
    which = (
        "all axial slices with reference"
        if len(indices) < 2 * END_SLICES
        else f"the first and the last {END_SLICES} axial slices with reference"
    )
    yield Sketch(
        figure,
        name=file_name("gallery", example.group.dataset),
        section=sections.GALLERY,
        caption=f"Case {example.case}: {which}, from the femoral head to the condyles, with their slice numbers. Left "
        f"of each pair: reference; right: prediction of {example.best_label}.",
    )


def draw_planes(data: ReportData, reader: SliceReader) -> Iterator[Sketch]:
    """Draw one slice in each plane, for a median case of the best method."""
    from matplotlib.figure import Figure

    example = choose_example(data)
    if example is None:
        return
    reference = example.reference(reader)
    if not reference.any():
        return
    views = {}
    for axis, plane in enumerate(PLANES):
        others = tuple(other for other in range(3) if other != axis)
        index = int(reference.sum(axis=others).argmax())
        views[plane] = SliceView(example.best_predictions, example.case, index, plane)
    images = reader.read(views.values())
    # The femur is long and thin: coronal and sagittal slices fill the height, each twice, and the axial slices are in
    # the last column, one above the other.
    figure = Figure(figsize=(WIDTH, 5.2), layout="constrained")
    widths = [_relative_width(images[views[plane].key]) for plane in ("coronal", "coronal", "sagittal", "sagittal")]
    cells = figure.add_gridspec(2, 5, width_ratios=[*widths, max(0.4, WIDTH / 5.0 - sum(widths))])
    places = {
        "coronal": (cells[:, 0], cells[:, 1]),
        "sagittal": (cells[:, 2], cells[:, 3]),
        "axial": (cells[0, 4], cells[1, 4]),
    }
    for plane, (plain, contoured) in places.items():
        for cell, contours in ((plain, False), (contoured, True)):
            axes = figure.add_subplot(cell)
            image = images[views[plane].key]
            frame = frame_mm([image], square=plane == "axial")
            draw_slice(axes, image, frame=frame, contours=contours, line_width=1.0)
            if not contours:
                axes.set_title(f"{plane} {views[plane].index}", loc="left", fontsize=8)
    contour_legend(figure)
    yield Sketch(
        figure,
        name=file_name("planes", example.group.dataset),
        section=sections.PLANES,
        caption=f"Case {example.case}: in each plane the slice that contains most of the bone, as CT alone and with "
        f"the contours of the reference and of the prediction of {example.best_label}.",
    )


def _montage(images: Sequence[SliceImage]) -> tuple[NDArray, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return one large CT and its two masks: a pair per slice, in rows from top to bottom; left the reference."""
    box = _bone_box(images)
    shape = tuple(part.stop - part.start for part in box)
    pair_height, pair_width = shape[0] + _GAP, 2 * shape[1] + 3 * _GAP
    rows = -(-len(images) // _PAIRS)
    across = min(_PAIRS, len(images))
    ct = np.full((rows * pair_height, across * pair_width), float(WINDOW_HU[1]))
    masks = [np.zeros(ct.shape, bool) for _ in range(2)]
    for number, image in enumerate(images):
        bottom = (rows - 1 - number // _PAIRS) * pair_height
        for half, mask in enumerate((image.reference, image.prediction)):
            left = (number % _PAIRS) * pair_width + half * (shape[1] + 1)
            tile = (slice(bottom, bottom + shape[0]), slice(left, left + shape[1]))
            ct[tile] = WINDOW_HU[0] if image.ct is None else image.ct[box]
            masks[half][tile] = mask[box]
    return ct, masks[0], masks[1]


def _bone_box(images: Sequence[SliceImage]) -> tuple[slice, slice]:
    """Return the rows and columns that contain the bone in every image, with a margin."""
    bone = np.logical_or.reduce([image.bone for image in images])
    parts = []
    for axis, step in zip((1, 0), images[0].spacing_mm, strict=True):
        with_bone = bone.any(axis=axis)
        held = np.flatnonzero(with_bone)
        margin = round(MARGIN_MM / 2 / step)
        parts.append(slice(max(0, int(held[0]) - margin), min(len(with_bone), int(held[-1]) + margin + 1)))
    return parts[0], parts[1]


def _draw_slice_numbers(
    axes: Axes, indices: Sequence[int], shape: tuple[int, int], spacing_mm: tuple[float, float]
) -> None:
    """Write the slice numbers into the pairs of a montage."""
    from matplotlib.patheffects import withStroke

    rows, across = -(-len(indices) // _PAIRS), min(_PAIRS, len(indices))
    pair_height, pair_width = shape[0] / rows * spacing_mm[0], shape[1] / across * spacing_mm[1]
    for number, index in enumerate(indices):
        axes.text(
            (number % _PAIRS) * pair_width + 0.02 * pair_width,
            (rows - number // _PAIRS) * pair_height - 0.05 * pair_height - _GAP * spacing_mm[0],
            str(index),
            color="white",
            fontsize=5.5,
            va="top",
            path_effects=[withStroke(linewidth=1.5, foreground="#000000b0")],
        )


def _relative_width(image: SliceImage) -> float:
    """Return the width of the shown part divided by its height."""
    (bottom, top), (left, right) = frame_mm([image], square=False)
    return (right - left) / (top - bottom)
