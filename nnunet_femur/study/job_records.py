"""Status of each job, stored as one JSON file per job, and the failures among them."""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nnunet_femur.atomic_files import write_json
from nnunet_femur.records import read_json
from nnunet_femur.study import slurm

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nnunet_femur.study.config import Study
    from nnunet_femur.study.jobs import Job


State = Literal["running", "done", "failed"]


@dataclass(frozen=True)
class Status:
    """How far a job is.

    Attributes:
        state: "running" also for a job that was killed, which could not say so any more.
        command: What it runs.
        settings: The settings of the job, see :class:`~nnunet_femur.study.jobs.Job`.
        log: The file with all that the command printed.
        host: The machine it runs on.
        started: Seconds since the epoch.
        seconds: How long it took or has taken.
        news: The last thing worth telling that the command said.
        peak_memory_mib: Largest memory of the command; None while it is running.
    """

    state: State
    command: tuple[str, ...]
    settings: Mapping[str, Any]
    log: str
    host: str
    started: float
    seconds: float = 0.0
    news: str = ""
    peak_memory_mib: int | None = None

    def after(self, state: State, *, news: str = "", peak_memory_mib: int | None = None) -> Status:
        """The same job, now."""
        seconds = round(time.time() - self.started, 1)
        return replace(self, state=state, seconds=seconds, news=news or self.news, peak_memory_mib=peak_memory_mib)


@dataclass(frozen=True)
class Records:
    """The study's own files.

    Attributes:
        folder: Where they lie.
    """

    folder: Path

    @property
    def engine_log(self) -> Path:
        """What the engine said in its latest run."""
        return self.folder / "engine.log"

    def log(self, job: Job) -> Path:
        """Everything that a job's commands printed, of all its runs."""
        return self.folder / "logs" / f"{job.name}.log"

    def done(self, job: Job) -> Path:
        """What the engine takes for the job's result: it is there when, and only when, the job has ended well."""
        return self.folder / "done" / f"{job.name}.json"

    def status(self, job: Job) -> Status | None:
        """How far a job is; None if it has never started."""
        content = read_json(self._status_file(job))
        return Status(**{**content, "command": tuple(content["command"])}) if isinstance(content, dict) else None

    def write_status(self, job: Job, status: Status) -> None:
        """Say how far a job is."""
        self._status_file(job).parent.mkdir(parents=True, exist_ok=True)
        write_json(self._status_file(job), asdict(status), durable=False)

    def write_done(self, job: Job, status: Status) -> None:
        """Say that a job has ended well."""
        self.done(job).parent.mkdir(parents=True, exist_ok=True)
        write_json(self.done(job), asdict(status))

    def _status_file(self, job: Job) -> Path:
        return self.folder / "jobs" / f"{job.name}.json"

    def due(self, jobs: Iterable[Job]) -> dict[str, str]:
        """Jobs that were done once, but have to run again, and why; those behind them follow by themselves."""
        return {job.name: reason for job in jobs if (reason := self._reason(job))}

    def _reason(self, job: Job) -> str:
        done = read_json(self.done(job))
        if done is None:
            return ""
        if not job.made.exists():
            return f"{job.made.name} is gone"
        return "; ".join(_changes(done["settings"], _as_json(job.settings)))


def _as_json(settings: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(settings))


def _changes(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """What differs between two settings, each by its path."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _changes(old.get(key), new.get(key), f"{where}.{key}" if where else key)
    elif old != new:
        yield f"{where} was {old}, is {new}"


_REASONS = (
    (re.compile(r"^(?:error: |[\w.]*Error: ).*", re.MULTILINE), None),
    (re.compile(r"CUDA out of memory|OutOfMemoryError"), "the GPU's memory is full: fewer slices or a smaller patch"),
)


@dataclass(frozen=True)
class Failure:
    """A job that is not done.

    Attributes:
        job: Its name.
        reason: Why, in a line.
        log: Where more is said; empty for a job that never started.
    """

    job: str
    reason: str
    log: str = ""


def failures(study: Study, jobs: Mapping[str, Job], *, since: float) -> list[Failure]:
    """All jobs that are not done, those first that failed by themselves.

    Args:
        study: The study.
        jobs: Its jobs by name.
        since: Start of this run, in seconds since the epoch.
    """
    records = Records(study.records)
    due = records.due(jobs.values())
    missing: dict[str, Job] = {}
    for name, job in jobs.items():
        # What was done before is not done any more where its settings, or what it reads, ought to be new.
        if name in due or not records.done(job).exists() or any(each in missing for each in job.after):
            missing[name] = job
    found = list(_found(missing, records, since, slurm.reasons(records.engine_log)))
    return sorted(found, key=lambda each: not each.log)


def _found(
    missing: Mapping[str, Job], records: Records, since: float, of_cluster: Mapping[str, str]
) -> Iterator[Failure]:
    for name, job in missing.items():
        status = records.status(job)
        waits = [each for each in (*job.after, *job.once) if each in missing]
        if status is not None and status.started >= since:
            killed = of_cluster.get(job.rule, "was killed: the memory, the time limit, or somebody")
            yield Failure(name, killed if status.state == "running" else _reason(status.log), status.log)
        elif job.rule in of_cluster:
            yield Failure(name, of_cluster[job.rule], str(records.engine_log))
        elif waits:
            more = f" and {len(waits) - 1} more" if len(waits) > 1 else ""
            yield Failure(name, f"waits for {waits[0]}{more}")
        else:
            yield Failure(name, "was not started")


def _reason(log: str) -> str:
    """The last line of a log that looks like a reason, or its last line."""
    try:
        text = Path(log).read_text(encoding="utf-8", errors="replace")[-20_000:]
    except OSError as error:
        return f"the log cannot be read: {error}"
    last_run = text.rsplit("\n$ ", 1)[-1].partition("\n")[2]
    for pattern, meaning in reversed(_REASONS):
        found = pattern.findall(last_run)
        if found:
            return meaning or str(found[-1])
    return next((line for line in reversed(last_run.splitlines()) if line.strip()), "no output")


def print_failures(found: list[Failure]) -> None:
    """Print a table of what is not done and why, on standard error."""
    from rich.console import Console
    from rich.table import Table

    table = Table("job", "why", "log", title="Not done", title_justify="left")
    for each in found:
        table.add_row(each.job, each.reason, each.log)
    Console(stderr=True).print(table)
