"""Panels of figures: the slices that stand for the rest, and one slice with its contours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from nnunet_femur.comparison.report.drawing import PREDICTION, TRUTH
from nnunet_femur.comparison.report.report_data import DICE, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from nnunet_femur.comparison.grouping import Entry, Group
    from nnunet_femur.comparison.predictions import Predictions
    from nnunet_femur.comparison.report.figures.album import Picture
    from nnunet_femur.comparison.report.report_data import ReportData


HEAD_SLICES = 20
"""The study's heads: so many axial slices from each end of the bone."""


@dataclass(frozen=True)
class Example:
    """A case that every method predicted, and one method to look at closely.

    Attributes:
        group: Where it comes from.
        case: The case: of the best method's scores the median one.
        best: The entry with the highest mean of 3D Dice.
        predictions: What each method predicted for the case, by its name and fold; the best one's first. Of several
            folds it is the first that predicted the case.
    """

    group: Group
    case: str
    best: Entry
    predictions: dict[str, Predictions]

    @property
    def best_label(self) -> str:
        """Name and fold of the best method's prediction."""
        return next(iter(self.predictions))

    @property
    def best_prediction(self) -> Predictions:
        """Predictions of the best method."""
        return self.predictions[self.best_label]


def example(findings: ReportData) -> Example | None:
    """The example that figures of a single case show, from the first set that has predictions of all methods."""
    for group in findings.groups:
        entries = whole(group)
        values = {entry.label: entry.defined for entry in entries}
        if not all(DICE in frame for frame in values.values()):
            continue
        shared = sorted(set.intersection(*(set(frame.index) for frame in values.values())))
        best = max(entries, key=lambda entry: float(values[entry.label][DICE].mean()))
        dice = values[best.label][DICE].reindex(shared).sort_values(kind="stable")
        if not shared or not findings.predictions:
            continue
        case = str(dice.index[(len(dice) - 1) // 2])
        ordered = [best, *(entry for entry in entries if entry is not best)]
        found = [(entry, one) for entry in ordered if (one := predictions_of(findings, group, entry, case))]
        if found and found[0][0] is best:
            return Example(group, case, best, {_shown(entry, one): one for entry, one in found})
    return None


def _shown(entry: Entry, one: Predictions) -> str:
    return entry.label if len(entry.folds) == 1 else f"{entry.name}{one.fold_suffix}"


def predictions_of(findings: ReportData, group: Group, entry: Entry, case: str) -> Predictions | None:
    """The predictions of an entry that hold a case."""
    return next(
        (
            one
            for one in findings.predictions
            if one.method == entry.method and one.set == group.set and one.fold in entry.folds and case in one.files
        ),
        None,
    )


def ends_only(held: np.ndarray, count: int) -> list[int]:
    """The first and last `count` of ascending slice numbers, from the superior end down; all if there are fewer."""
    falling = [int(index) for index in held[::-1]]
    return falling if len(falling) <= 2 * count else falling[:count] + falling[-count:]


WINDOW_HU = (-200, 1000)
"""Grey values of the CT from black to white."""

MARGIN_MM = 15.0
"""What is shown around the bone."""

SMALLEST_MM = 70.0
"""Edge of the smallest part that is shown, so that a few voxels are not blown up beyond recognition."""


def show(axes: Axes, picture: Picture, *, square: bool = True, contours: bool = True, line: float = 1.3) -> None:
    """Draw a slice, cut to the bone and its surroundings.

    Args:
        axes: Where to draw.
        picture: The slice.
        square: Whether to show a square, as suits panels side by side.
        contours: Whether to draw reference and prediction.
        line: Width of the contours.
    """
    from matplotlib.patheffects import withStroke

    step_y, step_x = picture.step_mm
    height, width = picture.reference.shape
    extent = (-0.5 * step_x, (width - 0.5) * step_x, -0.5 * step_y, (height - 0.5) * step_y)
    axes.set_facecolor("black")
    if picture.grey is not None:
        low, high = WINDOW_HU
        axes.imshow(picture.grey, cmap="gray", vmin=low, vmax=high, origin="lower", extent=extent)
    if contours:
        for mask, colour, dash in ((picture.reference, TRUTH, "-"), (picture.prediction, PREDICTION, "--")):
            outline(axes, mask, (step_y, step_x), colour=colour, dash=dash, line=line)
    _frame(axes, picture, square=square)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    places = ((0.5, 0.96, "top"), (0.5, 0.04, "bottom"), (0.03, 0.5, "center"), (0.97, 0.5, "center"))
    for letter, (x, y, vertical) in zip(picture.sides, places, strict=True):
        horizontal = {0.03: "left", 0.97: "right"}.get(x, "center")
        axes.text(
            x, y, letter, transform=axes.transAxes, color="white", ha=horizontal, va=vertical, fontsize=7,
            path_effects=[withStroke(linewidth=2, foreground="#000000b0")],
        )  # fmt: skip


def outline(
    axes: Axes,
    mask: NDArray[np.bool_],
    step_mm: tuple[float, float],
    *,
    colour: str,
    dash: str = "-",
    line: float = 1.3,
) -> None:
    """Draw the contour of a mask; one that leaves the picture is closed at its edge."""
    if not mask.any():
        return
    # Only the part around the mask, since contours of a whole slice take ten times as long.
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    part = np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)
    y = (np.arange(part.shape[0]) + rows[0] - 1) * step_mm[0]
    x = (np.arange(part.shape[1]) + columns[0] - 1) * step_mm[1]
    axes.contour(x, y, part, levels=[0.5], colors=colour, linestyles=dash, linewidths=line)


def _frame(axes: Axes, picture: Picture, *, square: bool) -> None:
    (bottom, top), (left, right) = frame_mm(picture, square=square)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_aspect("equal")


def frame_mm(picture: Picture, *, square: bool) -> tuple[tuple[float, float], tuple[float, float]]:
    """From where to where a picture is shown, upwards and to the right, in mm from its first pixel."""
    rows, columns = (np.flatnonzero(picture.bone.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        rows, columns = (np.arange(count) for count in picture.bone.shape)
    y, x = ((held[0] * step, held[-1] * step) for held, step in zip((rows, columns), picture.step_mm, strict=True))
    spans = [max(end - start + 2 * MARGIN_MM, SMALLEST_MM) for start, end in (y, x)]
    if square:
        spans = [max(spans)] * 2
    (bottom, top), (left, right) = (
        (sum(ends) / 2 - span / 2, sum(ends) / 2 + span / 2) for ends, span in zip((y, x), spans, strict=True)
    )
    return (bottom, top), (left, right)


def legend(figure: Figure, *, dash: Literal["-", "--"] = "--") -> None:
    """Say below a figure which contour is which; `dash` is the line of the prediction."""
    from matplotlib.lines import Line2D

    figure.legend(
        handles=[
            Line2D([], [], color=TRUTH, label="reference"),
            Line2D([], [], color=PREDICTION, linestyle=dash, label="prediction"),
        ],
        loc="outside lower center",
        ncols=2,
        frameon=False,
    )
