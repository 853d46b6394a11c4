"""``run.json`` of the baseline: what was run on which case, so that a rerun does only what is missing."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.atomic_files import write_json
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.records import read_json, sha256

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nnunet_femur.baselines.settings import Job, Outcome

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
        cases = before.get("cases") if same and isinstance(before, dict) else None
        self.content: dict[str, Any] = {
            "method": METHOD,
            "works_in_slices": False,
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "settings": settings,
            "device": device,
            "platform": platform.platform(),
            "cases": cases if isinstance(cases, dict) else {},
        }
        self._started: dict[str, list[Any] | None] = {}

    @property
    def log(self) -> Path:
        """File beside the record that gets everything that TotalSegmentator prints."""
        return self.path.with_name(self.path.name.removesuffix("run.json") + "totalsegmentator.log")

    def has(self, job: Job) -> bool:
        """Return True if the mask of a case is there unchanged, made under the same settings from the same CT."""
        known = self.content["cases"].get(job.case)
        if not isinstance(known, dict) or known.get("problem", "") is not None:
            return False
        identity = self._identity(job)
        return identity is not None and known.get("ct") == identity and _is_mask_of(known, job.output)

    def start(self, jobs: Sequence[Job]) -> list[Job]:
        """Drop the cases that are to be done, so that the record never names a mask that is not there.

        Args:
            jobs: All cases.

        Returns:
            The cases whose masks are not there yet.

        Raises:
            SetupError: The record cannot be written.
        """
        left = [job for job in jobs if not self.has(job)]
        # A CT that is changed while it is segmented is to be segmented again.
        self._started = {job.case: self._identity(job) for job in left}
        done = {job.case for job in jobs} - {job.case for job in left}
        dropped = self.content["cases"].keys() - done
        self.content["cases"] = {case: known for case, known in self.content["cases"].items() if case in done}
        if left or dropped:
            self._write()
        return left

    def add(self, job: Job, outcome: Outcome) -> None:
        """Note what became of a case after :meth:`start`.

        Raises:
            SetupError: The record cannot be written.
        """
        self.content["cases"][job.case] = {
            "ct": self._started.get(job.case),
            "seconds": round(outcome.seconds, 2),
            "volume_ml": round(outcome.volume_ml, 2),
            "problem": outcome.problem,
            "warnings": list(outcome.warnings),
        } | ({} if outcome.problem else {"mask_sha256": sha256(job.output)})
        self._write()

    def _identity(self, job: Job) -> list[Any] | None:
        """Return a CT's place, size and time of change, a folder's by its files; None if it cannot be looked at.

        The mask and what is written beside it may be in the folder.
        """
        written = {job.output, self.path, self.log}
        try:
            files = [job.ct]
            if job.ct.is_dir():
                files = sorted(file for file in job.ct.rglob("*") if file.is_file() and file not in written)
            stats = [file.stat() for file in files]
            return [
                str(job.ct.resolve()),
                sum(stat.st_size for stat in stats),
                max((stat.st_mtime_ns for stat in stats), default=0),
            ]
        except OSError:
            return None

    def _write(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.path, self.content)
        except OSError as error:
            msg = f"{self.path}: cannot be written ({error.strerror}). Check the folder and the space on the disk."
            raise SetupError(msg) from error


def recorded_warnings(record: Path) -> tuple[str, ...]:
    """Return the warnings about the CTs of a record; none for a record of an older version."""
    content = read_json(record)
    cases = content.get("cases", {}) if isinstance(content, dict) else {}
    return tuple(warning for case in cases.values() for warning in case.get("warnings", ()))


def require_ours(mask: Path, record: Path) -> None:
    """Refuse to write over a mask or record that the baseline has not written, or that was changed since.

    Args:
        mask: The mask to be written.
        record: Its record.

    Raises:
        InputError: One of them exists and is not the baseline's.
    """
    content = read_json(record)
    ours = isinstance(content, dict) and content.get("method") == METHOD and isinstance(content.get("cases"), dict)
    known = content["cases"].get(mask.name) if ours else None
    if mask.exists() and not (isinstance(known, dict) and "mask_sha256" in known and _is_mask_of(known, mask)):
        foreign, problem = mask, "exists, and is not a mask that was written here and left unchanged."
    elif record.exists() and not ours:
        foreign, problem = record, "exists, and is not the record of a mask that was written here."
    else:
        return
    msg = f"{foreign}: {problem} Move it away, or choose another name: nnfemur baseline -i CT -o MASK"
    raise InputError(msg)


def _is_mask_of(known: dict[str, Any], mask: Path) -> bool:
    """Return True if a file is the mask of a case's entry; entries of older versions hold no checksum."""
    try:
        return mask.is_file() and known.get("mask_sha256") in (None, sha256(mask))
    except OSError:
        return False
