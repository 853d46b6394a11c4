"""Dice along the bone's long axis, from the femoral head over the shaft to the condyles, a panel per method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import INK, SOFT, Sketch, method_colours, method_panels
from nnunet_femur.comparison.report.report_data import file_name
from nnunet_femur.comparison.statistics.analysis import whole_femur_entries
from nnunet_femur.evaluation.regions import DISTAL_SHARE, PROXIMAL_SHARE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from nnunet_femur.comparison.grouping import Entry, Group
    from nnunet_femur.comparison.report.figures.slice_images import SliceReader
    from nnunet_femur.comparison.report.report_data import ReportData


def draw_profiles(data: ReportData, _reader: SliceReader) -> Iterator[Sketch]:
    """Draw a figure for each group: a panel per method, with the other methods in grey."""
    colours = method_colours(data.scored.scores["method"].unique())
    for group in data.groups:
        found = {
            entry.label: (entry, dice) for entry in whole_femur_entries(group) if len(dice := _dice(data, group, entry))
        }
        if not found:
            continue
        figure, panels = method_panels(
            list(found),
            panel_height=1.75,
            xlabel="position along the bone (%): 0 femoral head, 100 condyles",
            ylabel="Dice",
        )
        medians = {label: _quantiles(dice)[1] for label, (_, dice) in found.items()}
        lowest = min(np.nanmin(_quantiles(dice)[0]) for _, dice in found.values())
        readers = [_quantiles(dice)[1] for one in group.raters if len(dice := _dice(data, group, one))]
        for axes, (label, (entry, dice)) in zip(panels, found.items(), strict=True):
            others = [median for other, median in medians.items() if other != label]
            _draw_panel(axes, dice, others, colours[entry.method])
            for median in readers:
                axes.plot(100 * (np.arange(len(median)) + 0.5) / len(median), median, color=INK, lw=1, ls="--")
        panels[0].set_ylim(max(0.0, lowest - 0.03), 1.005)
        yield Sketch(
            figure,
            name=file_name("profile", group.dataset, group.key),
            section=sections.ALONG,
            caption=f"{group.title}. Dice of the voxels at each position along the bone’s long axis. Coloured line: "
            "median over cases; band: 10th to 90th percentile; grey lines: medians of the other methods; dotted lines: "
            "borders of proximal part, shaft and distal part."
            + (" Dashed black line: median of a second reader." if readers else ""),
        )


def _dice(data: ReportData, group: Group, entry: Entry) -> NDArray[np.float64]:
    """Return the Dice of each case with a profile, from head to condyles, shape (cases, bins).

    Dice is 1 at positions without any voxel. Of several folds that predict a case, it is the mean.
    """
    profiles: dict[str, list[NDArray[np.float64]]] = {}
    for (method, kind, fold, case), profile in data.scored.profiles.items():
        if method == entry.method and kind == group.set and fold in entry.folds:
            profiles.setdefault(case, []).append(np.nan_to_num(profile.dice[::-1], nan=1.0))
    return np.array([np.mean(of_case, axis=0) for of_case in profiles.values()])


def _quantiles(dice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 10th percentile, median and 90th percentile over cases, shape (3, bins)."""
    return np.quantile(dice, [0.1, 0.5, 0.9], axis=0)


def _draw_panel(axes: Axes, dice: NDArray[np.float64], others: list[NDArray[np.float64]], colour: str) -> None:
    positions = 100 * (np.arange(dice.shape[1]) + 0.5) / dice.shape[1]
    for other in others:
        axes.plot(positions, other, color=SOFT, linewidth=0.7, alpha=0.45)
    low, median, high = _quantiles(dice)
    axes.fill_between(positions, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(positions, median, color=colour, linewidth=1.7)
    for border in (100 * PROXIMAL_SHARE, 100 - 100 * DISTAL_SHARE):
        axes.axvline(border, color=SOFT, linewidth=0.7, linestyle=":")
    axes.set_xlim(0, 100)
    axes.set_xticks([0, 25, 50, 75, 100])
