"""Figures of an earlier report, taken over where they show the same: drawing takes longer than all the rest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.comparison.report.drawing import Drawing
from nnunet_femur.comparison.report.tables.formats import as_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.report.tables import Table

INDEX = "index.json"
"""What the figures beside it show."""


def key_of(findings: ReportData, tables: Sequence[Table]) -> str:
    """A fingerprint of all that figures are drawn from: scores, statistics, masks and CTs, and the code that draws.

    The statistics count as they stand in `tables`.
    """
    digest = hashlib.sha256()
    scores = findings.scored.scores
    digest.update(scores["value"].to_numpy(float).tobytes())
    # The order of the rows is fixed, so the names that occur are enough.
    digest.update(repr([scores[name].unique().tolist() for name in scores.columns.drop("value")]).encode())
    for table in tables:
        digest.update(as_json(table).encode())
    for path in _files(findings):
        try:
            status = path.stat()
        except OSError:
            continue
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    for code in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(code.read_bytes())
    return digest.hexdigest()


def _files(findings: ReportData) -> Iterable[Path]:
    """Every mask and CT that a figure may show, each once."""
    paths: dict[Path, None] = {}
    for one in findings.predictions:
        for case, path in one.files.items():
            for file in (path, one.dataset.reference(case), one.dataset.image(case)):
                if file is not None:
                    paths[file] = None
    return sorted(paths)


def index_of(drawings: Sequence[Drawing]) -> str:
    """What has to be known to take figures over; empty where a figure carries no key."""
    entries = [
        {
            "key": drawing.key,
            "name": drawing.name,
            "section": drawing.section,
            "caption": drawing.caption,
            "wide": drawing.wide,
            "png": _hash(drawing.png),
            "svg": _hash(drawing.svg),
        }
        for drawing in drawings
    ]
    return json.dumps(entries, indent=1, ensure_ascii=False) + "\n"


def kept_drawings(folder: Path, key: str) -> list[Drawing] | None:
    """The figures of a report if all of them carry this key and are unharmed, else None."""
    figures = folder / "figures"
    try:
        entries = json.loads((figures / INDEX).read_text(encoding="utf-8"))
        found = [
            Drawing(
                name=entry["name"],
                section=entry["section"],
                caption=entry["caption"],
                png=(figures / f"{entry['name']}.png").read_bytes(),
                svg=(figures / f"{entry['name']}.svg").read_bytes(),
                wide=entry["wide"],
                key=key,
            )
            for entry in entries
            if entry["key"] == key
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole = all(
        (_hash(drawing.png), _hash(drawing.svg)) == (entry["png"], entry["svg"])
        for drawing, entry in zip(found, entries, strict=False)
    )
    return found if entries and len(found) == len(entries) and whole else None


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
