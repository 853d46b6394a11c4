"""``run.json`` of the baseline: what was run on which case, so that a rerun does only what is missing."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.files import read_json, write_json

if TYPE_CHECKING:
    from nnunet_femur.baseline.jobs import Job, Outcome

METHOD = "TotalSegmentator"


class RunRecord:
    """The record of the masks in a folder, written anew after every case.

    Args:
        path: The file.
        settings: What decides over the masks, see :meth:`Settings.record`.
        device: Where they are computed.
    """

    def __init__(self, path: Path, settings: dict[str, Any], *, device: str) -> None:
        self.path = path
        before = read_json(path)
        same = isinstance(before, dict) and before.get("settings") == settings
        self.content: dict[str, Any] = {
            "method": METHOD,
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "settings": settings,
            "device": device,
            "platform": platform.platform(),
            "cases": before.get("cases", {}) if same and isinstance(before, dict) else {},
        }

    def has(self, job: Job) -> bool:
        """Whether the mask of a case is there, made under the same settings from the same CT."""
        known = self.content["cases"].get(job.case, {})
        return job.output.is_file() and known.get("problem", "") is None and known.get("ct") == _identity(job.ct)

    def add(self, job: Job, outcome: Outcome) -> None:
        """Note what became of a case."""
        self.content["cases"][job.case] = {
            "ct": _identity(job.ct),
            "seconds": round(outcome.seconds, 2),
            "volume_ml": round(outcome.volume_ml, 2),
            "problem": outcome.problem,
            "warnings": list(outcome.warnings),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, self.content)


def recorded_warnings(record: Path) -> tuple[str, ...]:
    """Return the warnings about the CTs of a record; none for a record of an older version."""
    content = read_json(record)
    cases = content.get("cases", {}) if isinstance(content, dict) else {}
    return tuple(warning for case in cases.values() for warning in case.get("warnings", ()))


def _identity(ct: Path) -> list[Any]:
    """A CT by its place, size and time of change; a folder by those of all its files."""
    files = sorted(file for file in ct.iterdir() if file.is_file()) if ct.is_dir() else [ct]
    stats = [file.stat() for file in files]
    return [
        str(ct.resolve()),
        sum(stat.st_size for stat in stats),
        max((stat.st_mtime_ns for stat in stats), default=0),
    ]
