"""Figures of clinical measurements: box plots of errors, ranks, and Bland-Altman plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import (
    SOFT,
    WIDTH,
    Sketch,
    clear_frame,
    method_colours,
    rows_and_columns,
)
from nnunet_femur.comparison.report.figures.agreement_plots import EXPLANATION, agreement_figure
from nnunet_femur.comparison.report.figures.box_plots import MANY, draw_box_panel
from nnunet_femur.comparison.report.figures.ranks import rank_sketch
from nnunet_femur.comparison.report.report_data import file_name
from nnunet_femur.comparison.statistics.endpoint_statistics import error_measure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nnunet_femur.comparison.report.figures.slice_images import SliceReader
    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.statistics.endpoint_statistics import EndpointStatistics, GroupEndpoints

RANKED = ("head_center_mm", "neck_shaft_angle_deg", "version_neck_deg", "length_longest_mm")
"""Endpoints with a panel of ranks."""

COMPARED = ("neck_shaft_angle_deg", "version_neck_deg", "mldfa_deg", "length_longest_mm")
"""Endpoints with a Bland-Altman plot; the volume has one in its own section."""


def draw_clinical_boxes(data: ReportData, _reader: SliceReader) -> Iterator[Sketch]:
    """Draw the errors of the main endpoints of each group: a row per method, a panel per endpoint."""
    colours = method_colours(data.scored.scores["method"].unique())
    for one in data.endpoints:
        many = max(count.femurs for endpoint in one.main.values() for count in endpoint.counts) > MANY
        yield Sketch(
            _boxes(one, colours),
            name=file_name("clinical_boxes", one.group.dataset, one.group.key),
            section=sections.CLINICAL,
            caption=f"{one.group.title}. Errors of clinical measurements, prediction − reference; of the head centre, "
            "the distance. Box: median and quartiles; whiskers: most extreme femurs within 1.5 times the interquartile "
            f"range; points: femurs{'' if many else '; grey lines: errors of the same femur'}. Femurs without a "
            "measurement are missing here; the table counts them.",
        )


def _boxes(one: GroupEndpoints, colours: Mapping[str, str]) -> Figure:
    from matplotlib.figure import Figure

    main = list(one.main.values())
    labels = [entry.label for entry in main[0].group.entries]
    rows, columns = rows_and_columns(len(main))
    figure = Figure(figsize=(WIDTH, rows * (0.75 + 0.34 * len(labels))), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    fewest = [min(counts, key=lambda one: one.measured) for counts in zip(*(one.counts for one in main), strict=True)]
    named = [
        f"{one.entry}\n{'at least ' if one.measured < one.femurs else ''}{one.measured} of {one.femurs} measured"
        for one in fewest
    ]
    panels[0, 0].set_yticks(range(len(labels)), named)
    panels[0, 0].set_ylim(len(labels) - 0.5, -0.5)
    for axes, endpoint in zip(panels.ravel(), main, strict=False):
        _draw_boxes(axes, endpoint, labels, colours)
    for axes in panels.ravel()[len(main) :]:
        axes.set_axis_off()
    return figure


def _draw_boxes(axes: Axes, one: EndpointStatistics, labels: list[str], colours: Mapping[str, str]) -> None:
    entries = {entry.label: entry for entry in one.group.entries}
    measure = error_measure(one.endpoint.name, "error")
    axes.axvline(0, color=SOFT, linewidth=0.8)
    values = [entries[label].column(measure).dropna() for label in labels]
    draw_box_panel(axes, values, [colours[entries[label].method] for label in labels])
    axes.tick_params(axis="y", length=0, labelsize=6.5)
    axes.tick_params(axis="x", labelsize=8)
    clear_frame(axes, grid="x")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(one.endpoint.title, fontsize=8)


def draw_clinical_ranks(data: ReportData, _reader: SliceReader) -> Iterator[Sketch]:
    """Draw the ranks of each group by absolute errors."""
    colours = method_colours(data.scored.scores["method"].unique())
    for one in data.endpoints:
        found = [
            (endpoint.statistics.measure, endpoint.statistics.ranking)
            for name, endpoint in one.main.items()
            if name in RANKED and endpoint.statistics.ranking
        ]
        if found:
            yield rank_sketch(one.group, found, colours, kind="clinical_ranks", section=sections.CLINICAL)


def draw_clinical_agreement(data: ReportData, _reader: SliceReader) -> Iterator[Sketch]:
    """Draw Bland-Altman plots of each group, a figure per endpoint."""
    colours = method_colours(data.scored.scores["method"].unique())
    for one in data.endpoints:
        for name in COMPARED:
            endpoint = one.endpoints.get(name)
            if endpoint is None or not endpoint.agreement:
                continue
            of_entries = {entry.label: colours[entry.method] for entry in endpoint.group.entries}
            yield Sketch(
                agreement_figure(
                    endpoint.agreement,
                    of_entries,
                    quantity=endpoint.endpoint.title_in_text,
                ),
                name=file_name("bland_altman", name, one.group.dataset, one.group.key),
                section=sections.CLINICAL,
                caption=f"{one.group.title}. Bland-Altman plot of every femur: {endpoint.endpoint.label}. "
                f"{EXPLANATION}",
            )
