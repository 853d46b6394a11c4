"""Records of jobs: status, logs and results, as files in the study's folder.

=====================  =========================================================================================
``jobs/NAME.json``     :class:`Status` of the latest run, written while the job runs
``logs/NAME.log``      output of the job's command, of all runs
``done/NAME.json``     :class:`Status` of the run that made the result; Snakemake takes this file for the result
``engine.log``         output of Snakemake in its latest run
``events.jsonl``       events of jobs in the latest run, as Snakemake reports them to our logger
=====================  =========================================================================================
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from nnunet_femur.atomic_files import write_json
from nnunet_femur.records import Provenance, read_json
from nnunet_femur.study.training_settings import settings_read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from nnunet_femur.study.commands import Job


@dataclass(frozen=True)
class Status:
    """Status of a job.

    Attributes:
        state: "running", "done" or "failed". A job that was killed stays "running".
        command: The command and its options.
        settings: Settings of the job, see :class:`~nnunet_femur.study.jobs.Job`.
        log: File with the output of the command.
        host: Name of the machine.
        started: Start in seconds since the epoch.
        seconds: Duration so far in seconds.
        news: Latest line of progress, such as an epoch.
        peak_memory_mib: Largest memory of the command in MiB; None while it is running.
        reason: Reason of the failure in one line; empty unless the job failed.
    """

    state: Literal["running", "done", "failed"]
    command: tuple[str, ...]
    settings: Mapping[str, Any]
    log: str
    host: str
    started: float
    seconds: float = 0.0
    news: str = ""
    peak_memory_mib: int | None = None
    reason: str = ""

    def running(self, news: str) -> Status:
        """Return the status with a new line of progress."""
        return replace(self, news=news, seconds=self._seconds())

    def ended(self, *, reason: str | None, peak_memory_mib: int | None) -> Status:
        """Return the status at the end.

        Args:
            reason: Reason of the failure; None for a job that is done.
            peak_memory_mib: Largest memory of the command in MiB.
        """
        state: Literal["done", "failed"] = "done" if reason is None else "failed"
        return replace(self, state=state, seconds=self._seconds(), reason=reason or "", peak_memory_mib=peak_memory_mib)

    def _seconds(self) -> float:
        return round(time.time() - self.started, 1)


@dataclass(frozen=True)
class Records:
    """Files of a study about its jobs.

    Attributes:
        folder: Folder of the files, ``study`` in the study's folder.
    """

    folder: Path

    @property
    def engine_log(self) -> Path:
        """Output of Snakemake in its latest run."""
        return self.folder / "engine.log"

    @property
    def events(self) -> Path:
        """Events of jobs in the latest run."""
        return self.folder / "events.jsonl"

    def log(self, job: Job) -> Path:
        """Output of a job's command, of all its runs."""
        return self.folder / "logs" / f"{job.name}.log"

    def done(self, job: Job) -> Path:
        """Record of a job's result; it exists if, and only if, the job has ended well."""
        return self.folder / "done" / f"{job.name}.json"

    def status(self, job: Job) -> Status | None:
        """Return the status of a job; None if it has never started."""
        content = read_json(self._status_file(job))
        return Status(**{**content, "command": tuple(content["command"])}) if isinstance(content, dict) else None

    def write_status(self, job: Job, status: Status) -> None:
        """Write the status of a job."""
        self._status_file(job).parent.mkdir(parents=True, exist_ok=True)
        write_json(self._status_file(job), asdict(status), durable=False)

    def write_done(self, job: Job, status: Status) -> None:
        """Write the record of a job that has ended well."""
        self.done(job).parent.mkdir(parents=True, exist_ok=True)
        write_json(self.done(job), asdict(status))

    def _status_file(self, job: Job) -> Path:
        return self.folder / "jobs" / f"{job.name}.json"

    def outdated(self, jobs: Iterable[Job]) -> dict[str, str]:
        """Return the jobs that are done, but whose result is not what they would make now, each with the reason.

        Jobs that read such a result are not among them: Snakemake runs them again by itself.
        """
        return {job.name: reason for job in jobs if (reason := self._reason(job))}

    def _reason(self, job: Job) -> str:
        done = read_json(self.done(job))
        if done is None:
            return ""
        if not job.made.exists():
            return f"{job.made.name} is missing"
        then, now = done["settings"], json.loads(json.dumps(job.settings))
        if job.trainer is not None:
            then, now = (settings_read(each, job.trainer) for each in (then, now))
        if Provenance(settings=then).is_current(settings=now):
            return ""
        return "; ".join(_changes(then, now))


def _changes(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Yield the differences between two settings, each by its place."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _changes(old.get(key), new.get(key), f"{place}.{key}" if place else key)
    elif _are_names(old, new) and {*old} != {*new}:
        # Lists of methods and jobs are long.
        for word, first, second in (("added", new, old), ("removed", old, new)):
            if names := [each for each in first if each not in second]:
                more = f" and {len(names) - 1} more" if len(names) > 1 else ""
                yield f"{place}: {names[0]}{more} {word}"
    elif old != new:
        yield f"{place} was {old}, is {new}"


def _are_names(*lists: Any) -> bool:
    return all(isinstance(each, list) and all(isinstance(name, str) for name in each) for each in lists)
