"""The report: Markdown, and one HTML file that needs nothing beside it."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.comparison.report.figure_cache import key_of
from nnunet_femur.comparison.report.method_cards import Card, method_cards
from nnunet_femur.comparison.report.published import PublishedFigures, read_published
from nnunet_femur.comparison.report.report_data import ReportData
from nnunet_femur.comparison.report.sections import ORDER, STUDY
from nnunet_femur.comparison.report.tables import tabulate
from nnunet_femur.comparison.report.tables.formats import markdown
from nnunet_femur.evaluation import METRICS, STRICT, EmptyPolicy
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nnunet_femur.comparison.discovery import Found
    from nnunet_femur.comparison.predictions import Unscored
    from nnunet_femur.comparison.report.drawing import Drawing
    from nnunet_femur.comparison.report.tables import Table
    from nnunet_femur.comparison.scoring import Scored
    from nnunet_femur.comparison.statistics.analysis import GroupStatistics

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Report:
    """What the report says.

    Attributes:
        datasets: Names of the datasets.
        tables: The tables of every group.
        drawings: The figures.
        cards: What is known of every method.
        complete: Whether every expected prediction was there and could be scored.
        warnings: What is missing, wrong or left out.
        notes: What has not been run yet.
        cautions: What the numbers cannot carry.
        policy: What empty masks scored.
        published: The published figures beside ours, if any.
        unscored: Predictions that could not be scored.
    """

    datasets: Sequence[str]
    tables: Sequence[Table]
    drawings: Sequence[Drawing]
    cards: Sequence[Card]
    complete: bool
    warnings: Sequence[str]
    notes: Sequence[str]
    cautions: Sequence[str] = ()
    policy: EmptyPolicy = STRICT
    published: PublishedFigures | None = None
    unscored: Sequence[Unscored] = ()


def build_report(
    scored: Scored,
    found: Found,
    *,
    statistics: Sequence[GroupStatistics] = (),
    published: str | None = None,
    policy: EmptyPolicy = STRICT,
    kept: Path | None = None,
) -> Report:
    """Tabulate and draw what was scored; nothing is written.

    Args:
        scored: The scores.
        found: What was scored, and what is missing.
        statistics: Tests, ranks and agreement of each group of entries.
        published: Name of the published figures to print beside ours.
        policy: What empty masks scored.
        kept: The folder of an earlier report, whose figures are taken over if they show the same.

    Raises:
        InputError: There are no such published figures.
    """
    from nnunet_femur.comparison.report.figures import draw_all

    findings = ReportData(
        scored,
        found.predictions,
        statistics,
        published=read_published(published) if published else None,
        unscored=found.unscored,
    )
    tables = tabulate(findings)
    drawings, problems = draw_all(findings, key=key_of(findings, tables), kept=kept)
    return Report(
        datasets=sorted({one.dataset.folder.name for one in found.predictions}),
        tables=tables,
        drawings=drawings,
        cards=method_cards(found.predictions),
        complete=not found.unscored and not any(one.missing for one in found.predictions),
        unscored=found.unscored,
        warnings=[*found.warnings, *problems],
        notes=found.notes,
        cautions=_cautions(statistics),
        policy=policy,
        published=findings.published,
    )


def render(report: Report, ending: str) -> str:
    """The report as text: ``html``, with the figures inside, or ``md``, which looks for them in ``figures/``."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"data_uri": _data_uri, "markdown": markdown}
    return environment.get_template(f"report.{ending}.j2").render(
        report=report,
        parts=_parts(report),
        metrics=list(METRICS.values()),
        policy=_policy(report.policy),
        published_in=STUDY,
        version=__version__,
        # Ours, and without any "</", so that it may stand in HTML as it is.
        script=Markup((_TEMPLATES / "sort.js").read_text(encoding="utf-8")),  # noqa: S704
    )


def _parts(report: Report) -> list[dict[str, Any]]:
    """The report's sections in their order, those that nobody put in order at the end."""
    tables, drawings = (
        {title: [one for one in found if one.section == title] for title in dict.fromkeys(one.section for one in found)}
        for found in (report.tables, report.drawings)
    )
    titles = dict.fromkeys((*(title for title in ORDER if title in tables | drawings), *tables, *drawings))
    return [{"title": title, "tables": tables.get(title, []), "drawings": drawings.get(title, [])} for title in titles]


def _cautions(statistics: Sequence[GroupStatistics]) -> list[str]:
    """What the first measure of each group cannot carry; that of the others stands below their tables."""
    found = []
    for one in statistics:
        first = next(iter(one.measures.values()), None)
        found += [f"{one.group.title}: {caution}" for caution in (first.cautions if first else ())]
    return found


def _policy(policy: EmptyPolicy) -> dict[str, Any]:
    labels = {name: metric.label for name, metric in METRICS.items()}
    return {"name": policy.name, "meaning": policy.meaning, "sentences": policy.sentences(labels)}


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode('ascii')}"
