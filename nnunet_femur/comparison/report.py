"""The report: Markdown, and one HTML file that needs nothing beside it."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.evaluation import METRICS, STRICT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nnunet_femur.comparison.drawing import Drawing
    from nnunet_femur.comparison.tables import Table

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Report:
    """What the report says.

    Attributes:
        datasets: Names of the datasets.
        tables: The tables of every group.
        drawings: The figures.
        complete: Whether every expected prediction was there.
        warnings: What is missing, wrong or left out.
        notes: What has not been run yet.
    """

    datasets: Sequence[str]
    tables: Sequence[Table]
    drawings: Sequence[Drawing]
    complete: bool
    warnings: Sequence[str]
    notes: Sequence[str]


def render(report: Report, ending: str) -> str:
    """The report as text: ``html``, with the figures inside, or ``md``, which looks for them in ``figures/``."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["data_uri"] = _data_uri
    return environment.get_template(f"report.{ending}.j2").render(
        report=report,
        sections=[(title, list(of)) for title, of in groupby(report.drawings, key=lambda drawing: drawing.section)],
        timed=any(table.timed for table in report.tables),
        metrics=list(METRICS.values()),
        policy=_policy(),
    )


def _policy() -> dict[str, Any]:
    labels = {name: metric.label for name, metric in METRICS.items()}
    return {"name": STRICT.name, "sentences": STRICT.sentences(labels)}


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode('ascii')}"
