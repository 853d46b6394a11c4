"""What was predicted and how: ``predictions.json``, by which a later run resumes, and ``predictions.csv``."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from nnunet_femur.records import read_json, write_json, write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

RECORD, TABLE = "predictions.json", "predictions.csv"


@dataclass(frozen=True)
class CaseResult:
    """One case of a run.

    Attributes:
        case: Its name.
        source: The CT's path as it was given.
        state: The CT's files when it was predicted; see :meth:`Source.state`.
        settings: Fingerprint of the model and the options.
        files: Names and bytes of what was written.
        volume_ml: Volume of the femur in ml.
        pieces: Number of its pieces.
        disagreement: 1 minus the mean Dice of all pairs of folds; None with one fold.
        seconds: Time it took.
        precision: What the network calculated in, such as "float32"; empty in records of older versions.
        warnings: What is implausible about the result.
        error: Why there is no result; empty if there is one.
    """

    case: str
    source: str
    state: dict[str, float] = field(default_factory=dict)
    settings: str = ""
    files: dict[str, int] = field(default_factory=dict)
    volume_ml: float | None = None
    pieces: int | None = None
    disagreement: float | None = None
    seconds: float = 0.0
    precision: str = ""
    warnings: tuple[str, ...] = ()
    error: str = ""

    def holds(self, folder: Path, *, settings: str, state: Mapping[str, float]) -> bool:
        """Whether this result is what a run with these settings and this CT would give, and still lies there whole."""
        return (
            not self.error
            and self.settings == settings
            and self.state == dict(state)
            and all(_size(folder / name) == size for name, size in self.files.items())
        )


def sizes(folder: Path, names: Iterable[str]) -> dict[str, int]:
    """The number of bytes of each file."""
    return {name: (folder / name).stat().st_size for name in names}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def read_results(folder: Path) -> dict[str, CaseResult]:
    """The results of earlier runs by case; none where there is no record, or one of another version."""
    content = read_json(folder / RECORD)
    try:
        results = [CaseResult(**{**case, "warnings": tuple(case["warnings"])}) for case in content["cases"]]
    except (TypeError, KeyError):
        return {}
    return {result.case: result for result in results}


def write_results(folder: Path, results: Iterable[CaseResult], about: Mapping[str, Any]) -> None:
    """Write both files, each whole or not at all.

    Args:
        folder: Where the predictions lie.
        results: All cases of that folder, also those of earlier runs.
        about: Model, options and versions of this run.
    """
    ordered = sorted(results, key=lambda result: result.case)
    write_json(folder / RECORD, {**about, "cases": [asdict(result) for result in ordered]})
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    columns = ("case", "volume_ml", "pieces", "disagreement", "seconds", "warnings", "error", "source", "files")
    table.writerow(columns)
    for result in ordered:
        row = {**asdict(result), "warnings": "; ".join(result.warnings), "files": " ".join(result.files)}
        row |= {"volume_ml": _rounded(result.volume_ml, 2), "disagreement": _rounded(result.disagreement, 4)}
        table.writerow([row[column] for column in columns])
    write_text(folder / TABLE, text.getvalue())


def _rounded(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
