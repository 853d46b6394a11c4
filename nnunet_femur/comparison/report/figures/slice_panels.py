"""The example case that figures show, and panels of its slices: CT and contours of reference and prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from nnunet_femur.comparison.report.drawing import PREDICTION, REFERENCE
from nnunet_femur.comparison.report.report_data import DICE
from nnunet_femur.comparison.statistics.analysis import whole_femur_entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from nnunet_femur.comparison.grouping import Entry, Group
    from nnunet_femur.comparison.predictions import Predictions
    from nnunet_femur.comparison.report.figures.slice_images import SliceImage, SliceReader
    from nnunet_femur.comparison.report.report_data import ReportData


WINDOW_HU = (-200, 1000)
"""Values in HU that are drawn black and white."""

MARGIN_MM = 15.0
"""Margin around the bone in mm."""

SMALLEST_MM = 70.0
"""Smallest edge of a panel in mm, so that a few voxels are not enlarged beyond recognition."""

Frame = tuple[tuple[float, float], tuple[float, float]]
"""Limits (bottom, top) and (left, right) of the shown part of a slice, in mm from the centre of its first pixel."""


@dataclass(frozen=True)
class ExampleCase:
    """A case that every method predicted, and the method with the highest 3D Dice.

    Attributes:
        group: The group that the case belongs to.
        case: The case with the median 3D Dice among those of the best method; of two, the lower one.
        best: The method with the highest mean 3D Dice.
        predictions: The predictions of each method, by its name and fold, the best method first. Of several folds it
            is the first one that predicted the case.
    """

    group: Group
    case: str
    best: Entry
    predictions: dict[str, Predictions]

    @property
    def best_label(self) -> str:
        """Name and fold of the best method."""
        return next(iter(self.predictions))

    @property
    def best_predictions(self) -> Predictions:
        """The predictions of the best method."""
        return self.predictions[self.best_label]

    def reference(self, reader: SliceReader) -> NDArray[np.bool_]:
        """Read the reference mask of the case, shape (z, y, x)."""
        return reader.reference(self.best_predictions, self.case).voxels


def choose_example(data: ReportData) -> ExampleCase | None:
    """Return the example case of the first group with predictions, or None without masks."""
    for group in data.groups:
        entries = whole_femur_entries(group)
        values = {entry.label: entry.defined for entry in entries}
        if not all(DICE in frame for frame in values.values()):
            continue
        shared = sorted(set.intersection(*(set(frame.index) for frame in values.values())))
        best = max(entries, key=lambda entry: float(values[entry.label][DICE].mean()))
        dice = values[best.label][DICE].reindex(shared).sort_values(kind="stable")
        if not shared or not data.predictions:
            continue
        case = str(dice.index[(len(dice) - 1) // 2])
        ordered = [best, *(entry for entry in entries if entry is not best)]
        found = [(entry, one) for entry in ordered if (one := predictions_of(data, group, entry, case))]
        if found and found[0][0] is best:
            return ExampleCase(group, case, best, {_label(entry, one): one for entry, one in found})
    return None


def predictions_of(data: ReportData, group: Group, entry: Entry, case: str) -> Predictions | None:
    """Return the first predictions of a method that include a case, or None."""
    return next(
        (
            one
            for one in data.predictions
            if one.method == entry.method and one.set == group.set and one.fold in entry.folds and case in one.files
        ),
        None,
    )


def draw_slice(
    axes: Axes, image: SliceImage, *, frame: Frame | None = None, contours: bool = True, line_width: float = 1.3
) -> None:
    """Draw a slice, cropped to the bone and a margin around it.

    Args:
        axes: The panel.
        image: The slice.
        frame: The part of the slice to show, see :func:`frame_mm`; by default a square around the bone.
        contours: Draw the contours of reference and prediction.
        line_width: Width of the contours in points.
    """
    from matplotlib.patheffects import withStroke

    axes.set_facecolor("black")
    if image.ct is not None:
        show_ct(axes, image.ct, image.spacing_mm)
    if contours:
        for mask, colour, dash in ((image.reference, REFERENCE, "-"), (image.prediction, PREDICTION, "--")):
            draw_contour(axes, mask, image.spacing_mm, colour=colour, dash=dash, line_width=line_width)
    (bottom, top), (left, right) = frame or frame_mm([image])
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    positions = ((0.5, 0.96, "top"), (0.5, 0.04, "bottom"), (0.03, 0.5, "center"), (0.97, 0.5, "center"))
    for letter, (x, y, vertical) in zip(image.edge_letters, positions, strict=True):
        horizontal = {0.03: "left", 0.97: "right"}.get(x, "center")
        axes.text(
            x, y, letter, transform=axes.transAxes, color="white", ha=horizontal, va=vertical, fontsize=7,
            path_effects=[withStroke(linewidth=2, foreground="#000000b0")],
        )  # fmt: skip


def show_ct(axes: Axes, ct: NDArray[np.floating], spacing_mm: tuple[float, float]) -> None:
    """Draw a CT in HU, shape (rows, columns), with the centre of its first pixel at 0 mm."""
    (height, width), (step_y, step_x) = ct.shape, spacing_mm
    extent = (-0.5 * step_x, (width - 0.5) * step_x, -0.5 * step_y, (height - 0.5) * step_y)
    low, high = WINDOW_HU
    axes.imshow(ct, cmap="gray", vmin=low, vmax=high, origin="lower", extent=extent)


def draw_contour(
    axes: Axes,
    mask: NDArray[np.bool_],
    spacing_mm: tuple[float, float],
    *,
    colour: str,
    dash: str = "-",
    line_width: float = 1.3,
) -> None:
    """Draw the contour of a mask, shape (rows, columns). A mask that reaches the edge is closed there."""
    if not mask.any():
        return
    # The contour is computed around the mask only: that of a whole slice takes ten times as long.
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    part = np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)
    y = (np.arange(part.shape[0]) + rows[0] - 1) * spacing_mm[0]
    x = (np.arange(part.shape[1]) + columns[0] - 1) * spacing_mm[1]
    axes.contour(x, y, part, levels=[0.5], colors=colour, linestyles=dash, linewidths=line_width)


def frame_mm(images: Sequence[SliceImage], *, square: bool = True) -> Frame:
    """Return the part that contains the bone in all images, with a margin.

    Args:
        images: Images of one slice, with at least one image.
        square: Extend the part to a square, so that panels side by side have the same shape.
    """
    bone = np.logical_or.reduce([image.bone for image in images])
    rows, columns = (np.flatnonzero(bone.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        rows, columns = (np.arange(count) for count in bone.shape)
    y, x = ((held[0] * step, held[-1] * step) for held, step in zip((rows, columns), images[0].spacing_mm, strict=True))
    spans = [max(end - start + 2 * MARGIN_MM, SMALLEST_MM) for start, end in (y, x)]
    if square:
        spans = [max(spans)] * 2
    (bottom, top), (left, right) = (
        (sum(ends) / 2 - span / 2, sum(ends) / 2 + span / 2) for ends, span in zip((y, x), spans, strict=True)
    )
    return (bottom, top), (left, right)


def contour_legend(figure: Figure, *, dash: Literal["-", "--"] = "--") -> None:
    """Add the legend of the contours below a figure; `dash` is the line style of the prediction."""
    from matplotlib.lines import Line2D

    figure.legend(
        handles=[
            Line2D([], [], color=REFERENCE, label="reference"),
            Line2D([], [], color=PREDICTION, linestyle=dash, label="prediction"),
        ],
        loc="outside lower center",
        ncols=2,
        frameon=False,
    )


def _label(entry: Entry, predictions: Predictions) -> str:
    """Return name and fold of the predictions of an entry."""
    return entry.label if len(entry.folds) == 1 else f"{entry.name}{predictions.fold_suffix}"
