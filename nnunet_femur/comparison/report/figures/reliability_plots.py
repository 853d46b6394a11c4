"""Reliability plots: share of femur against its predicted probability, a panel per method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.calibration.case_reliability import SURROUNDINGS, SURROUNDINGS_MM
from nnunet_femur.comparison.calibration.reliability import Reliability
from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import INK, SOFT, Sketch, method_colours, method_panels
from nnunet_femur.comparison.report.report_data import file_name
from nnunet_femur.comparison.report.tables.calibration_tables import calibrated_entries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

    from nnunet_femur.comparison.grouping import Entry, Group
    from nnunet_femur.comparison.report.figures.slice_images import SliceReader
    from nnunet_femur.comparison.report.report_data import ReportData


def draw_reliability(data: ReportData, _reader: SliceReader) -> Iterator[Sketch]:
    """Draw a figure for each group in which a method has probabilities."""
    colours = method_colours(data.scored.scores["method"].unique())
    for group in data.groups:
        entries = [(entry, pooled_reliability(data, group, entry)) for entry in calibrated_entries(group)]
        entries = [(entry, one) for entry, one in entries if one.total]
        if not entries:
            continue
        figure, panels = method_panels(
            [entry.label for entry, _ in entries],
            panel_height=1.9,
            xlabel="predicted probability of femur, mean of the bin",
            ylabel="share of femur",
        )
        for axes, (entry, one) in zip(panels, entries, strict=True):
            _draw_panel(axes, one, colours[entry.method])
        yield Sketch(
            figure,
            name=file_name("reliability", group.dataset, group.key),
            section=sections.CALIBRATION,
            caption=f"{group.title}. Reliability of the probabilities of all voxels of all cases at most "
            f"{SURROUNDINGS_MM:g} mm from the reference femur. Dotted line: perfect calibration; below it, the network "
            "is too sure that a voxel is femur, above it too unsure. Bars: share of the voxels in each bin. The ECE "
            "in the panel is that of all voxels together; the table contains the mean over cases.",
        )


def pooled_reliability(data: ReportData, group: Group, entry: Entry) -> Reliability:
    """Return the reliability of all voxels in the surroundings of the femur, of all cases and folds of a method."""
    total = Reliability.nothing()
    for (method, kind, fold, _), regions in data.calibrated.cases.items():
        if method == entry.method and kind == group.set and fold in entry.folds and SURROUNDINGS in regions:
            total += regions[SURROUNDINGS]
    return total


def _draw_panel(axes: Axes, one: Reliability, colour: str) -> None:
    bins = len(one.voxels)
    centers = [(place + 0.5) / bins for place in range(bins)]
    axes.bar(centers, one.voxels / one.total, width=1 / bins, color=SOFT, alpha=0.25, linewidth=0)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=":")
    axes.plot(*one.curve, "o-", color=colour, linewidth=1.5, markersize=3)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.03, 1.03)
    axes.annotate(f"ECE {one.ece:.3f}", (0.05, 0.95), xycoords="axes fraction", va="top", fontsize=7.5, color=INK)
