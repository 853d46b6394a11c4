"""What failed and why, told from the records and logs of the jobs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.study import slurm
from nnunet_femur.study.state import Records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nnunet_femur.study.config import Study
    from nnunet_femur.study.jobs import Job

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
