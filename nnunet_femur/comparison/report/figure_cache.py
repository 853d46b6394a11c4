"""Reuse of the figures of an earlier report: drawing takes longer than everything else in a report."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.comparison.report.drawing import Drawing
from nnunet_femur.comparison.report.tables.formats import as_json
from nnunet_femur.records import Provenance, code_fingerprint, fingerprint, read_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.report.tables import Table

INDEX = "figures/index.json"
"""File in the folder of a report: provenance, files and captions of its figures."""

_LISTED = ("name", "section", "caption", "wide")


def figure_provenance(data: ReportData, tables: Sequence[Table]) -> Provenance:
    """Return the state of everything that figures are drawn from.

    The settings are the code that draws and matplotlib's version. The inputs are scores, statistics, masks and CTs; the
    tables represent the statistics; training curves are inputs of their own.
    """
    scores = data.scored.scores
    return Provenance(
        settings=fingerprint([code_fingerprint(Path(__file__).parents[1]), version("matplotlib")]),
        inputs=fingerprint(
            {
                "values": hashlib.sha256(np.ascontiguousarray(scores["value"], float).data).hexdigest(),
                # The order of the rows is fixed, so the names that occur determine the other columns.
                "names": [scores[name].unique().tolist() for name in scores.columns.drop("value")],
                "tables": [as_json(table) for table in tables],
                "curves": [str(curve) for curve in data.curves],
                "files": _file_states(data),
            }
        ),
    )


def _file_states(data: ReportData) -> list[tuple[str, int, int]]:
    """Return path, size in bytes and time of change in ns of every mask and CT that a figure may show."""
    paths = {
        file
        for one in data.predictions
        for case, path in one.files.items()
        for file in (path, one.dataset.reference(case), one.dataset.image(case))
        if file is not None
    }
    states = []
    for path in sorted(paths):
        try:
            status = path.stat()
        except OSError:
            continue
        states.append((str(path), status.st_size, status.st_mtime_ns))
    return states


def figure_files(drawings: Sequence[Drawing]) -> dict[str, bytes]:
    """Return the content of all figure files, by their path in the folder of the report."""
    return {
        f"figures/{drawing.name}.{ending}": content
        for drawing in drawings
        for ending, content in (("png", drawing.png), ("svg", drawing.svg))
    }


def index_of(drawings: Sequence[Drawing], provenance: Provenance | None) -> str:
    """Return the text of :data:`INDEX`.

    Args:
        drawings: The figures of the report.
        provenance: The state of everything that they are drawn from; None to have them drawn again by the next report.
    """
    files = figure_files(drawings)
    made = provenance and replace(
        provenance, outputs={name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    )
    figures = [{name: getattr(drawing, name) for name in _LISTED} for drawing in drawings]
    content = {"provenance": made and asdict(made), "figures": figures}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def read_figures(folder: Path, provenance: Provenance) -> list[Drawing] | None:
    """Return the figures of an earlier report.

    Args:
        folder: The folder of the report.
        provenance: The state of everything that figures would be drawn from now.

    Returns:
        The figures, or None if they were drawn from another state, or if a file is missing or was changed.
    """
    index = read_json(folder / INDEX)
    try:
        made = Provenance(**index["provenance"])
        figures: list[Mapping[str, Any]] = index["figures"]
        if not figures or not made.is_current(settings=provenance.settings, inputs=provenance.inputs, folder=folder):
            return None
        drawings = [
            Drawing(
                **{name: figure[name] for name in _LISTED},
                png=(folder / "figures" / f"{figure['name']}.png").read_bytes(),
                svg=(folder / "figures" / f"{figure['name']}.svg").read_bytes(),
            )
            for figure in figures
        ]
    except (OSError, KeyError, TypeError, AttributeError):
        # The index is missing or damaged, or an older version wrote it.
        return None
    return drawings if figure_files(drawings).keys() == made.outputs.keys() else None
