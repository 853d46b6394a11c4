"""Forecast of a study: the jobs that would run, the reason of each, and their time and disk space."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from nnunet_femur.study.costs import bytes_of, seconds_of, size_of
from nnunet_femur.study.engine import engine_of
from nnunet_femur.study.job_records import Records
from nnunet_femur.study.jobs import jobs_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from nnunet_femur.study.jobs import Job
    from nnunet_femur.study.study_file import Study


def print_plan(study: Study, *, cores: int | None = None, profile: str | None = None) -> None:
    """Print the jobs that would run, the reason of each, and their costs; run nothing.

    Args:
        study: The study.
        cores: CPUs to use; None: all that this process may use.
        profile: "slurm", or a folder with a Snakemake profile; None for this machine.

    Example:
        >>> from nnunet_femur.study import read_study, write_preset
        >>> write_preset("demo.yaml", "demo")
        >>> print_plan(read_study("demo.yaml"))
        job                             reason        time
        phantoms                        not done yet  1 s
        convert                         not done yet  3 s
        ...
        8 of 8 jobs. One after the other they take about ...
    """
    from rich.console import Console
    from rich.table import Table

    engine = engine_of(study, cores=cores, profile=profile)
    jobs = jobs_of(study, device=engine.device)
    records = Records(study.records)
    due = engine.due(jobs.values())
    outdated = records.outdated(jobs.values())
    measured = _measured_seconds(records, jobs)
    size = size_of(study)
    table = Table(box=None, pad_edge=False)
    for column in ("job", "reason", "time"):
        table.add_column(column, overflow="fold")
    total_s = total_bytes = 0.0
    for name in (name for name in jobs if name in due):
        seconds = measured.get(name) or seconds_of(jobs[name], study, size, engine.device)
        total_s += seconds
        total_bytes += bytes_of(jobs[name], study, size)
        reason = outdated.get(name) or _reason(jobs[name], records, due)
        table.add_row(name, reason or due[name], _duration(seconds))
    console = Console(highlight=False)
    if not due:
        console.print(f"Nothing to do: all {len(jobs)} jobs are up to date.")
        return
    console.print(table)
    basis = "jobs of this study that have run and, for others, " if measured else ""
    on = "of the study's GPU (Google Colab)" if engine.device == "cuda" else "of two CPU cores"
    console.print(
        f"\n{len(due)} of {len(jobs)} jobs. One after the other they take about {_duration(total_s)}, estimated from "
        f"{basis}measurements {on}; expect a factor of 3 either way. They write about {total_bytes / 1e9:.1f} GB to "
        f"{study.folder}, where {_free_bytes(study.folder) / 1e9:.0f} GB are free."
    )


def _measured_seconds(records: Records, jobs: Mapping[str, Job]) -> dict[str, float]:
    """Return the seconds of jobs that were done before, and of trainings of which another fold was done."""
    took: dict[str, list[float]] = {}
    for job in jobs.values():
        status = records.status(job)
        if status is not None and status.state == "done":
            took.setdefault(_without_fold(job), []).append(status.seconds)
    return {name: sum(times) / len(times) for name, job in jobs.items() if (times := took.get(_without_fold(job)))}


def _without_fold(job: Job) -> str:
    """Return a name that all folds of a method share."""
    return job.name.partition("-fold_")[0]


def _reason(job: Job, records: Records, due: Collection[str]) -> str:
    """Return the reason why a job is due, as far as our records have it."""
    status = records.status(job)
    if status is not None and status.state != "done":
        return "failed before" if status.state == "failed" else "was interrupted"
    if not records.done(job).exists():
        return "not done yet"
    before = [name for name in job.after if name in due]
    return f"after {before[0]}" if before else ""


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(next(each for each in (folder, *folder.parents) if each.exists())).free
