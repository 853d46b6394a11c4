"""What a study would do now, about how long that takes and how much disk it fills."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from nnunet_femur.study.costs import bytes_of, seconds_of, size_of
from nnunet_femur.study.job_records import Records
from nnunet_femur.study.jobs import jobs_of
from nnunet_femur.study.run import Machine, engine_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nnunet_femur.study.config import Study
    from nnunet_femur.study.jobs import Job


def print_plan(study: Study, machine: Machine | None = None) -> None:
    """Print the jobs that would run, why, and what they would cost; run nothing.

    Args:
        study: The study.
        machine: Where it would run.
    """
    from rich.console import Console
    from rich.table import Table

    engine = engine_of(study, machine or Machine())
    jobs = jobs_of(study, device=engine.device)
    records = Records(study.records)
    due = engine.due(jobs.values())
    reasons = records.due(jobs.values())
    measured = _measured(records, jobs)
    size = size_of(study)
    table = Table(box=None, pad_edge=False)
    for column in ("job", "why", "about"):
        table.add_column(column, overflow="fold")
    total_s = total_bytes = 0.0
    for name in (name for name in jobs if name in due):
        seconds = measured.get(name) or seconds_of(jobs[name], study, size, engine.device)
        total_s += seconds
        total_bytes += bytes_of(jobs[name], study, size)
        table.add_row(name, reasons.get(name) or _why(jobs[name], records, due), _time(seconds))
    console = Console(highlight=False)
    console.print(table)
    if not due:
        console.print(f"Nothing to do: all {len(jobs)} jobs are done.")
        return
    basis = "jobs of this study that have run and, for others, " if measured else ""
    on = "of the study's GPU (Google Colab)" if engine.device == "cuda" else "of two CPU cores"
    console.print(
        f"\n{len(due)} of {len(jobs)} jobs. One after the other about {_time(total_s)}, from {basis}figures {on}: "
        f"yours may differ several times over. Disk: about {total_bytes / 1e9:.1f} GB in {study.folder}, "
        f"where {_free_bytes(study.folder) / 1e9:.0f} GB are free."
    )


def _measured(records: Records, jobs: Mapping[str, Job]) -> dict[str, float]:
    """Seconds of jobs that were done before, and of trainings of which another fold was done."""
    took: dict[str, list[float]] = {}
    for job in jobs.values():
        status = records.status(job)
        if status is not None and status.state == "done":
            took.setdefault(_kind(job), []).append(status.seconds)
    return {name: sum(times) / len(times) for name, job in jobs.items() if (times := took.get(_kind(job)))}


def _kind(job: Job) -> str:
    """The same for all folds of a method."""
    return job.name.partition("-fold_")[0]


def _why(job: Job, records: Records, due: list[str]) -> str:
    status = records.status(job)
    if status is not None and status.state != "done":
        return "failed before" if status.state == "failed" else "was interrupted"
    if not records.done(job).exists():
        return "not done yet"
    return f"after {next((name for name in job.after if name in due), 'its inputs')}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(next(each for each in (folder, *folder.parents) if each.exists())).free
