"""Dice along the bone's axis: where do methods fail - at the head, the shaft, the condyles?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import SOFT, WIDTH, Sketch, bare, method_colours, rows_of, wrapped
from nnunet_femur.comparison.report.report_data import whole
from nnunet_femur.comparison.report.tables.scores import slug
from nnunet_femur.evaluation.regions import DISTAL_SHARE, PROXIMAL_SHARE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from nnunet_femur.comparison.grouping import Entry, Group
    from nnunet_femur.comparison.report.figures.album import Album
    from nnunet_femur.comparison.report.report_data import ReportData


def draw_profiles(findings: ReportData, _album: Album) -> Iterator[Sketch]:
    """A figure per set: a panel per method, with the other methods in grey."""
    from matplotlib.figure import Figure

    colours = method_colours(findings.scored.scores["method"].unique())
    for group in findings.groups:
        found = {entry.label: (entry, dice) for entry in whole(group) if len(dice := _dice(findings, group, entry))}
        if not found:
            continue
        rows, columns = rows_of(len(found))
        width = WIDTH if columns > 1 else 0.6 * WIDTH
        figure = Figure(figsize=(width, 0.5 + 1.75 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        middles = {label: _quantiles(dice)[1] for label, (_, dice) in found.items()}
        lowest = min(np.nanmin(_quantiles(dice)[0]) for _, dice in found.values())
        for axes, (label, (entry, dice)) in zip(panels, found.items(), strict=False):
            others = [middle for other, middle in middles.items() if other != label]
            _draw_panel(axes, dice, others, colours[entry.method])
            axes.set_title(wrapped(label), loc="left", fontsize=7)
        panels[0].set_ylim(max(0.0, lowest - 0.03), 1.005)
        for axes in panels[len(found) :]:
            axes.set_axis_off()
        for axes in panels[max(0, len(found) - columns) : len(found)]:
            axes.tick_params(labelbottom=True)
        figure.supxlabel("place along the bone (%), from the head over the shaft to the condyles", fontsize=9)
        figure.supylabel("Dice", fontsize=9)
        yield Sketch(
            figure,
            name=slug("profile", group.dataset, group.key),
            section=sections.ALONG,
            caption=f"{group.title}. Dice of the voxels at each place along the bone's long axis. Line: median over "
            "cases; band: from the 10th to the 90th percentile; grey: the medians of the other methods; "
            "dotted: borders of the proximal part, the shaft and the distal part.",
        )


def _dice(findings: ReportData, group: Group, entry: Entry) -> NDArray[np.float64]:
    """Dice from head to condyles of each case with a profile, of several folds the mean, shape (cases, bins).

    A place without any voxel counts as agreement.
    """
    profiles: dict[str, list[NDArray[np.float64]]] = {}
    for (method, kind, fold, case), profile in findings.scored.profiles.items():
        if method == entry.method and kind == group.set and fold in entry.folds:
            profiles.setdefault(case, []).append(np.nan_to_num(profile.dice[::-1], nan=1.0))
    return np.array([np.mean(of_case, axis=0) for of_case in profiles.values()])


def _quantiles(dice: NDArray[np.float64]) -> NDArray[np.float64]:
    """10th percentile, median and 90th percentile over cases."""
    return np.quantile(dice, [0.1, 0.5, 0.9], axis=0)


def _draw_panel(axes: Axes, dice: NDArray[np.float64], others: list[NDArray[np.float64]], colour: str) -> None:
    places = 100 * (np.arange(dice.shape[1]) + 0.5) / dice.shape[1]
    for other in others:
        axes.plot(places, other, color=SOFT, linewidth=0.7, alpha=0.45)
    low, middle, high = _quantiles(dice)
    axes.fill_between(places, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(places, middle, color=colour, linewidth=1.7)
    for border in (100 * PROXIMAL_SHARE, 100 - 100 * DISTAL_SHARE):
        axes.axvline(border, color=SOFT, linewidth=0.7, linestyle=":")
    axes.set_xlim(0, 100)
    axes.set_xticks([0, 25, 50, 75, 100])
    bare(axes, grid="y")
