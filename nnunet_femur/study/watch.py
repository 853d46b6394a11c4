"""Progress of the jobs of a run, and the jobs that are not done at its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from nnunet_femur.study import slurm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nnunet_femur.progress import Progress
    from nnunet_femur.study.commands import Job
    from nnunet_femur.study.engine import Event
    from nnunet_femur.study.job_records import Records, Status

STUDY_TASK = "study"
"""Name of the task of all jobs; the tasks of jobs have their names."""


@dataclass(frozen=True)
class Failure:
    """A job that is not done.

    Attributes:
        job: Name of the job.
        reason: The reason in one line.
        log: File with the details; empty for a job that never started.
    """

    job: str
    reason: str
    log: str = ""


@dataclass
class Watch:
    """The jobs of one run.

    Attributes:
        jobs: All jobs of the study by name.
        records: Their records.
        progress: Receives a task for all jobs, and one for each job that runs.
        since: Start of the run in seconds since the epoch.
        done: Names of the jobs that the run has done, in the order of their ends.
        messages: Messages of the engine about jobs that failed, by the name of the job.
    """

    jobs: Mapping[str, Job]
    records: Records
    progress: Progress
    since: float = field(default_factory=time.time)
    done: list[str] = field(default_factory=list)
    messages: dict[str, str] = field(default_factory=dict)
    _shown: set[str] = field(default_factory=set)
    _outdated: dict[str, str] = field(init=False)
    _done_before: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self._outdated = self.records.outdated(self.jobs.values())
        self._done_before = {name for name, job in self.jobs.items() if self.records.done(job).exists()}

    def start(self) -> None:
        """Show the task of all jobs."""
        self.progress.begin(STUDY_TASK, len(self.jobs))

    def look(self, events: Sequence[Event], waiting: str = "") -> None:
        """Show the events since the last call, and the latest progress of running jobs.

        Args:
            events: The new events.
            waiting: Reason why jobs wait in a cluster's queue.
        """
        for event in events:
            if event.kind == "started":
                self.progress.begin(event.job)
                self._shown.add(event.job)
            else:
                self._end(event)
        for name in self._shown:
            status = self._status(name)
            self.progress.advance(name, 0, note=status.news if status else "")
        done = sum(self.records.done(job).exists() for job in self.jobs.values())
        self.progress.advance(STUDY_TASK, done, note=waiting)

    def close(self) -> None:
        """End all tasks, also of jobs whose end the engine did not report because it was killed."""
        for name in self._shown:
            self.progress.end(name)
        self.progress.end(STUDY_TASK)

    def failures(self) -> list[Failure]:
        """Return all jobs that are not done, those first that failed by themselves."""
        outdated = self.records.outdated(self.jobs.values())
        missing: dict[str, Job] = {}
        for name, job in self.jobs.items():
            # A result of other settings, or made from results that are missing, is not done any more.
            if name in outdated or not self.records.done(job).exists() or any(each in missing for each in job.after):
                missing[name] = job
        return sorted(self._failures(missing), key=lambda each: not each.log)

    def _failures(self, missing: Mapping[str, Job]) -> Iterator[Failure]:
        for name, job in missing.items():
            waits = [each for each in (*job.after, *job.once) if each in missing]
            if self._status(name) is not None:
                yield Failure(name, self._reason(name), str(self.records.log(job)))
            elif name in self.messages:
                yield Failure(name, self._reason(name), str(self.records.engine_log))
            elif waits:
                more = f" and {len(waits) - 1} more" if len(waits) > 1 else ""
                yield Failure(name, f"waits for {waits[0]}{more}")
            else:
                yield Failure(name, "was not started")

    def _reason(self, name: str) -> str:
        """Return the reason of a failure: the command's own, the cluster's, or that the job was killed."""
        status, message = self._status(name), self.messages.get(name, "")
        if status is not None and status.state == "failed":
            return status.reason
        if known := slurm.meaning(message, self.jobs[name].stage):
            return known
        if status is not None:
            return "was killed: out of memory, beyond a time limit, or by a user"
        return " ".join(message.split()) or "failed before its command started"

    def _status(self, name: str) -> Status | None:
        """Return the status of a job that has started in this run."""
        status = self.records.status(self.jobs[name])
        return status if status is not None and status.started >= self.since else None

    def _end(self, event: Event) -> None:
        self._shown.discard(event.job)
        status = self._status(event.job)
        took = timedelta(seconds=round(status.seconds)) if status else ""
        if event.kind == "finished":
            self.done.append(event.job)
            text = f"✓ {event.job}  {took}  {status.news if status else ''}"
        else:
            self.messages[event.job] = event.text
            text = f"✗ {event.job}  {took}  {self._reason(event.job)}"
        again = f"  (again: {self._rerun_reason(event.job)})" if event.job in self._done_before else ""
        self.progress.end(event.job, f"{text.rstrip()}{again}")

    def _rerun_reason(self, name: str) -> str:
        """Return the reason why a job ran again."""
        before = [each for each in self.jobs[name].after if each in self.done]
        return self._outdated.get(name) or (f"after {before[0]}" if before else "its inputs changed")
