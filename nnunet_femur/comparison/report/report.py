"""The report of a comparison, as Markdown and as one HTML file that contains its figures."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.comparison.calibration.calibrating_predictions import Calibrated
from nnunet_femur.comparison.predictions import method_names
from nnunet_femur.comparison.report.figure_cache import figure_provenance
from nnunet_femur.comparison.report.headlines import headlines
from nnunet_femur.comparison.report.method_cards import MethodCard, method_cards
from nnunet_femur.comparison.report.published import PublishedFigures, read_published
from nnunet_femur.comparison.report.report_data import ReportData
from nnunet_femur.comparison.report.sections import ORDER, STUDY, UNSCORED
from nnunet_femur.comparison.report.tables import tabulate
from nnunet_femur.comparison.report.tables.formats import markdown
from nnunet_femur.comparison.training_curves import FALLING, training_curves
from nnunet_femur.evaluation import METRICS, STRICT, EmptyPolicy
from nnunet_femur.page_templates import page_templates
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from nnunet_femur.comparison.discovery import Found
    from nnunet_femur.comparison.predictions import Unscored
    from nnunet_femur.comparison.report.drawing import Drawing
    from nnunet_femur.comparison.report.tables import Table
    from nnunet_femur.comparison.scoring import Scored
    from nnunet_femur.comparison.statistics.analysis import GroupStatistics
    from nnunet_femur.comparison.statistics.endpoint_statistics import GroupEndpoints
    from nnunet_femur.comparison.statistics.subgroups import GroupSubgroups
    from nnunet_femur.comparison.training_curves import TrainingCurve
    from nnunet_femur.records import Provenance

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Report:
    """The content of a report.

    Attributes:
        datasets: Names of the datasets.
        tables: The tables.
        drawings: The figures.
        cards: How each method was trained.
        complete: True if every expected prediction was found and scored.
        warnings: Missing, wrong and omitted predictions, a sentence each.
        notes: Folds that have not been trained yet, a sentence each.
        cautions: What the statistics cannot show, a sentence each.
        policy: The policy for empty masks.
        published: Published figures beside the scores; None for none.
        unscored: Predictions that could not be scored.
        provenance: The state of everything that the figures were drawn from; None if some could not be drawn.
        headlines: What the statistics show about the best methods, a sentence each.
    """

    datasets: Sequence[str]
    tables: Sequence[Table]
    drawings: Sequence[Drawing]
    cards: Sequence[MethodCard]
    complete: bool
    warnings: Sequence[str]
    notes: Sequence[str]
    cautions: Sequence[str] = ()
    policy: EmptyPolicy = STRICT
    published: PublishedFigures | None = None
    unscored: Sequence[Unscored] = ()
    provenance: Provenance | None = None
    headlines: Sequence[str] = ()


def build_report(
    scored: Scored,
    found: Found,
    *,
    statistics: Sequence[GroupStatistics] = (),
    published: str | None = None,
    policy: EmptyPolicy = STRICT,
    earlier: Path | None = None,
    endpoints: Sequence[GroupEndpoints] = (),
    measurements: pd.DataFrame | None = None,
    subgroups: Sequence[GroupSubgroups] = (),
    reader_scores: Mapping[str, pd.DataFrame] | None = None,
    calibrated: Calibrated | None = None,
) -> Report:
    """Make the tables and figures of a report, without writing files.

    Args:
        scored: The scores.
        found: The predictions that were scored, and those that are missing.
        statistics: Tests, ranks and agreement of each group of methods.
        published: Name of published figures to print beside the scores, see
            :func:`~nnunet_femur.comparison.report.published.published_names`.
        policy: The policy for empty masks that the scores follow.
        earlier: Folder of an earlier report. Its figures are used if they show the same.
        endpoints: Statistics of clinical measurements of each group.
        measurements: The table of measurements; None if nothing was measured.
        subgroups: Scores by subgroup of each group.
        reader_scores: Scores of all methods against the masks of each second reader, by the reader's name.
        calibrated: Calibration of the predictions with probabilities.

    Raises:
        InputError: `published` is unknown (code "invalid-option").
    """
    from nnunet_femur.comparison.report.figures import draw_all

    data = ReportData(
        scored,
        found.predictions,
        statistics,
        published=read_published(published) if published else None,
        unscored=found.unscored,
        endpoints=endpoints,
        measurements=measurements,
        subgroups=subgroups,
        reader_scores=reader_scores or {},
        calibrated=calibrated or Calibrated(),
        curves=training_curves(found.predictions),
    )
    tables = tabulate(data)
    provenance = figure_provenance(data, tables)
    drawings, problems = draw_all(data, provenance=provenance, earlier=earlier)
    return Report(
        datasets=sorted({one.dataset.folder.name for one in found.predictions}),
        tables=tables,
        drawings=drawings,
        cards=method_cards([one for one in found.predictions if not one.rater]),
        complete=not found.unscored and not any(one.missing for one in found.predictions),
        unscored=found.unscored,
        warnings=[*found.warnings, *problems],
        notes=found.notes,
        cautions=[*_cautions(statistics), *_clinical_cautions(endpoints), *_training_cautions(data.curves)],
        headlines=list(headlines(statistics, endpoints)),
        policy=policy,
        published=data.published,
        # Without a provenance the next report draws the figures again, and reports the problems again.
        provenance=None if problems else provenance,
    )


def render(report: Report, ending: str) -> str:
    """Return the report as text.

    Args:
        report: The report.
        ending: ``html`` for a file that contains the figures, or ``md`` for a file that links to ``figures/``.
    """
    from markupsafe import Markup

    environment = page_templates(_TEMPLATES, keep_trailing_newline=True)
    environment.filters |= {"data_uri": _data_uri, "markdown": markdown}
    return environment.get_template(f"report.{ending}.j2").render(
        report=report,
        parts=_sections(report),
        metrics=list(METRICS.values()),
        policy=_policy(report.policy),
        study_section=STUDY,
        unscored_section=UNSCORED,
        version=__version__,
        # A file of this package without "</", which needs no escaping in HTML.
        script=Markup((_TEMPLATES / "sort.js").read_text(encoding="utf-8")),  # noqa: S704
    )


def _sections(report: Report) -> list[dict[str, Any]]:
    """Return the sections with their tables and figures, in their order; sections that are not in it come last."""
    tables, drawings = (
        {title: [one for one in found if one.section == title] for title in dict.fromkeys(one.section for one in found)}
        for found in (report.tables, report.drawings)
    )
    titles = dict.fromkeys((*(title for title in ORDER if title in tables | drawings), *tables, *drawings))
    return [{"title": title, "tables": tables.get(title, []), "drawings": drawings.get(title, [])} for title in titles]


def _cautions(statistics: Sequence[GroupStatistics]) -> list[str]:
    """Return the cautions of the first measure of each group; those of other measures are below their tables."""
    found = []
    for one in statistics:
        first = next(iter(one.measures.values()), None)
        found += [f"{one.group.title}. {caution}" for caution in (first.cautions if first else ())]
    return found


def _clinical_cautions(endpoints: Sequence[GroupEndpoints]) -> list[str]:
    """Return a caution for each group in which femurs could not be measured."""
    found = []
    for one in endpoints:
        numbers = {label: count for label, count in one.failed.items() if count}
        if numbers:
            named = ", ".join(f"{label} ({count})" for label, count in numbers.items())
            found.append(
                f"{one.group.title}. Clinical measurements: femurs that could be measured in the reference, but not in "
                f"the prediction: {named}. The mean errors of these methods leave these femurs out; tests and ranks "
                "count each as an error at least twice as large as any measured one."
            )
    return found


def _training_cautions(curves: Sequence[TrainingCurve]) -> Iterator[str]:
    """Yield a caution about the methods whose training loss was still falling."""
    names = method_names(curve.method for curve in curves)
    falling = dict.fromkeys(names[curve.method] for curve in curves if curve.still_falling)
    if falling:
        yield (
            f"Training. The loss of these methods still fell by {100 * FALLING:g} % or more per epoch when their "
            f"training ended, so a longer training may score higher: {', '.join(falling)}."
        )


def _policy(policy: EmptyPolicy) -> dict[str, Any]:
    labels = {name: metric.label for name, metric in METRICS.items()}
    return {"name": policy.name, "meaning": policy.meaning, "sentences": policy.sentences(labels)}


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode('ascii')}"
