"""Run a study: start the engine, show the progress of jobs, and report failures."""

from __future__ import annotations

import os
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING

from nnunet_femur.dataset.environment import COLUMNS
from nnunet_femur.errors import FemurError
from nnunet_femur.progress import SILENT
from nnunet_femur.records import locked
from nnunet_femur.study import slurm
from nnunet_femur.study.engine import Events, engine_of
from nnunet_femur.study.job_records import Records
from nnunet_femur.study.jobs import COMPARE, jobs_of
from nnunet_femur.study.study_file import Study, read_study

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from nnunet_femur.progress import Progress
    from nnunet_femur.study.engine import Engine, Event
    from nnunet_femur.study.job_records import Status
    from nnunet_femur.study.jobs import Job


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


@dataclass(frozen=True, repr=False)
class StudyResult:
    """Result of a run of a study.

    Attributes:
        report: The HTML report of the comparison.
        done: Names of the jobs that this run has done, in the order in which they ended.
        failed: Jobs that are not done, those first that failed by themselves.
        up_to_date: Number of jobs that were done before.
    """

    report: Path
    done: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()
    up_to_date: int = 0

    def __repr__(self) -> str:
        """Return the report's path and the numbers of jobs."""
        counts = f"{len(self.done)} done, {self.up_to_date} up to date, {len(self.failed)} failed"
        return f"<StudyResult {self.report}: {counts}>"

    @property
    def scores(self) -> pd.DataFrame:
        """All scores of the comparison, a row each, as in ``scores.csv``."""
        import pandas as pd

        return pd.read_csv(self.report.with_name("scores.csv"))


class JobsFailedError(FemurError):
    """Jobs of a study failed; all jobs that do not depend on them have run.

    Attributes:
        result: The result of the run, with the jobs that failed.
    """

    code = "job-failed"
    result: StudyResult


def run_study(
    study: Study | str | Path,
    *,
    cores: int | None = None,
    profile: str | None = None,
    progress: Progress = SILENT,
) -> StudyResult:
    """Run all jobs of a study that are not up to date: convert, plan, train, predict, baseline, compare.

    The run may be interrupted or killed at any time; the same call continues. Each job is one of the public commands,
    run in its own process.

    Args:
        study: The study, or its file.
        cores: CPUs to use; None: all that this process may use.
        profile: "slurm", or a folder with a Snakemake profile, to run on a cluster; None for this machine.
        progress: Receives a task for the study, and one for each job that runs.

    Returns:
        The jobs that were done, and the report's path.

    Raises:
        InputError: The file has problems (code "invalid-study").
        SetupError: The study is running already (code "locked"), or something that it needs is missing.
        JobsFailedError: Jobs failed; the message lists each with its reason and its log (code "job-failed").

    Example:
        A finished study runs nothing again:

        >>> run_study("demo/study.yaml")  # doctest: +ELLIPSIS
        <StudyResult ...report.html: 0 done, 6 up to date, 0 failed>
    """
    if not isinstance(study, Study):
        study = read_study(study)
    engine = engine_of(study, cores=cores, profile=profile)
    jobs, records = jobs_of(study, device=engine.device), Records(study.records)
    study.records.mkdir(parents=True, exist_ok=True)
    busy = f"{study.folder}: the study is running already, in another terminal or on another machine."
    with locked(study.records / "lock", busy=busy):
        _check_weights(study)
        run = Run(jobs, records, progress)
        status = _run(engine, run)
        failed = tuple(failures(run))
    result = StudyResult(jobs[COMPARE].made, tuple(run.done), failed, len(jobs) - len(failed) - len(run.done))
    if failed or status:
        lines = [f"\n  {each.job}: {each.reason}" + (f" ({each.log})" if each.log else "") for each in failed]
        count = f"{len(failed)} of {len(jobs)} jobs are not done" if failed else "Snakemake failed"
        msg = (
            f"{study.file}: {count}. Run the study again to continue; {records.engine_log} has details.{''.join(lines)}"
        )
        error = JobsFailedError(msg)
        error.result = result
        raise error
    return result


@dataclass
class Run:
    """The jobs of one run, shown as they start and end."""

    jobs: Mapping[str, Job]
    records: Records
    progress: Progress
    since: float = field(default_factory=time.time)
    done: list[str] = field(default_factory=list)
    messages: dict[str, str] = field(default_factory=dict)
    """The executor's messages about jobs that failed, by the job's name."""
    _shown: set[str] = field(default_factory=set)
    _again: dict[str, str] = field(init=False)
    _before: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self._again = self.records.outdated(self.jobs.values())
        self._before = {name for name, job in self.jobs.items() if self.records.done(job).exists()}

    def look(self, events: Sequence[Event], waiting: str = "") -> None:
        """Show the events since the last look, and the news of running jobs.

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
            status = self.status(name)
            self.progress.advance(name, 0, note=status.news if status else "")
        ready = sum(self.records.done(job).exists() for job in self.jobs.values())
        self.progress.advance("study", ready, note=waiting)

    def status(self, name: str) -> Status | None:
        """Return the status of a job that has started in this run."""
        status = self.records.status(self.jobs[name])
        return status if status is not None and status.started >= self.since else None

    def _end(self, event: Event) -> None:
        self._shown.discard(event.job)
        status = self.status(event.job)
        took = timedelta(seconds=round(status.seconds)) if status else ""
        if event.kind == "finished":
            self.done.append(event.job)
            text = f"✓ {event.job}  {took}  {status.news if status else ''}"
        else:
            self.messages[event.job] = event.text
            text = f"✗ {event.job}  {took}  {_reason(self, event.job)}"
        self.progress.end(event.job, f"{text.rstrip()}{self._why_again(event.job)}")

    def _why_again(self, name: str) -> str:
        """Return the reason why a job that was done before ran again; empty for a job that was not."""
        if name not in self._before:
            return ""
        made = [each for each in self.jobs[name].after if each in self.done]
        reason = self._again.get(name) or f"after {', '.join(made[:1]) or 'its inputs'}"
        return f"  (again: {reason})"

    def close(self) -> None:
        """End the tasks of jobs whose end Snakemake did not report, as it was ended itself."""
        for name in self._shown:
            self.progress.end(name)
        self.progress.end("study")


_LOOK_EVERY_S = 0.3


def _run(engine: Engine, run: Run) -> int:
    """Run the engine, show progress until it ends, and return its exit status; its output goes to a log."""
    jobs, records = run.jobs.values(), run.records
    environment = dict(os.environ)
    if sys.stdout.isatty():
        # Another process writes the tables of the comparison, which are shown in this terminal.
        environment[COLUMNS] = str(shutil.get_terminal_size().columns)
    run.progress.begin("study", len(jobs))
    try:
        with engine.started(jobs, environment) as process:
            pump = Thread(target=_write, args=(process.stdout or (), records.engine_log), daemon=True)
            pump.start()
            events, waiting = Events(records.events, jobs), engine.waiting()
            while process.poll() is None:
                run.look(events.new(), waiting.look() if waiting else "")
                time.sleep(_LOOK_EVERY_S)
            pump.join()
            run.look(events.new())
    finally:
        run.close()
    return process.returncode


def _write(lines: Iterable[str], log: Path) -> None:
    # An interrupted study closes the pipe that this reads.
    with log.open("w", encoding="utf-8") as file, suppress(ValueError):
        for line in lines:
            file.write(line)
            file.flush()


def _check_weights(study: Study) -> None:
    """Refuse a study that would stop hours later without TotalSegmentator's weights.

    Raises:
        SetupError: TotalSegmentator's weights are needed and missing.
    """
    fast = {options.get("fast", False) for options in study.plans.values() if options.get("from") == "totalsegmentator"}
    fast |= {model == "3mm" for model in study.baseline}
    if fast:
        from nnunet_femur.weights import find_model

        for each in sorted(fast):
            find_model(fast=each)


def failures(run: Run) -> list[Failure]:
    """Return all jobs that are not done, those first that failed by themselves."""
    outdated = run.records.outdated(run.jobs.values())
    missing: dict[str, Job] = {}
    for name, job in run.jobs.items():
        # A result that was made by other settings, or of results that are missing, is not done any more.
        if name in outdated or not run.records.done(job).exists() or any(each in missing for each in job.after):
            missing[name] = job
    return sorted(_found(run, missing), key=lambda each: not each.log)


def _found(run: Run, missing: Mapping[str, Job]) -> Iterator[Failure]:
    for name, job in missing.items():
        waits = [each for each in (*job.after, *job.once) if each in missing]
        if run.status(name) is not None:
            yield Failure(name, _reason(run, name), str(run.records.log(job)))
        elif name in run.messages:
            yield Failure(name, _reason(run, name), str(run.records.engine_log))
        elif waits:
            more = f" and {len(waits) - 1} more" if len(waits) > 1 else ""
            yield Failure(name, f"waits for {waits[0]}{more}")
        else:
            yield Failure(name, "was not started")


def _reason(run: Run, name: str) -> str:
    """Return the reason of a failure: the command's own, the cluster's, or that the job was killed."""
    status, message = run.status(name), run.messages.get(name, "")
    if status is not None and status.state == "failed":
        return status.reason
    if known := slurm.meaning(message, run.jobs[name].stage):
        return known
    if status is not None:
        return "was killed: out of memory, beyond a time limit, or by a user"
    return " ".join(message.split()) or "failed before its command started"


def print_scores(study: Study) -> None:
    """Print the tables that the comparison has printed."""
    text = Records(study.records).log(jobs_of(study)[COMPARE]).read_text(encoding="utf-8")
    last = text.rsplit("\n$ ", 1)[-1].splitlines()[1:-1]
    sys.stdout.write("\n".join(line for line in last if not line.startswith("Scoring")) + "\n")
