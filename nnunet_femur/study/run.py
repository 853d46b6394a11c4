"""How far a study is: a bar of all jobs, a line for each that runs, and one for each that has ended."""

from __future__ import annotations

import os
import shutil
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING, Self

from nnunet_femur.dataset.environment import COLUMNS
from nnunet_femur.errors import FemurError, SetupError
from nnunet_femur.study.engine import Engine
from nnunet_femur.study.job import find_device
from nnunet_femur.study.job_records import Records, failures, print_failures
from nnunet_femur.study.jobs import COMPARE, jobs_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from rich.progress import TaskID

    from nnunet_femur.study.config import Study
    from nnunet_femur.study.job_records import Status
    from nnunet_femur.study.jobs import Job


class Show:
    """Looks at the jobs' records, so that it is the same whoever runs the jobs, and wherever.

    Args:
        jobs: All jobs by name.
        records: Where they say how far they are.
    """

    def __init__(self, jobs: Mapping[str, Job], records: Records) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._jobs, self._records = jobs, records
        self._since = time.time()
        self._running: dict[str, TaskID] = {}
        self._ended: set[str] = set()
        self._waiting = ""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn())
        news = TextColumn("[dim]{task.fields[news]}")
        self._bar = Progress(*columns, TimeElapsedColumn(), news, console=Console(stderr=True), transient=True)
        self._all = self._bar.add_task("study", total=len(jobs), news="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def look(self, waiting: str = "") -> None:
        """Show what has changed since the last look.

        Args:
            waiting: What jobs wait for that have not started.
        """
        if waiting not in ("", self._waiting):
            self._bar.console.print(waiting, highlight=False)
        self._waiting = waiting
        for name, job in self._jobs.items():
            status = None if name in self._ended else self._records.status(job)
            if status is not None and status.started >= self._since:
                self._show(name, status)
        done = sum(self._records.done(job).exists() for job in self._jobs.values())
        self._bar.update(self._all, completed=done)

    def _show(self, name: str, status: Status) -> None:
        if name not in self._running:
            self._running[name] = self._bar.add_task(f"  {name}", total=None, news="")
        self._bar.update(self._running[name], news=status.news)
        if status.state != "running":
            self._ended.add(name)
            self._bar.remove_task(self._running[name])
            mark = "✓" if status.state == "done" else "✗"
            took = timedelta(seconds=round(status.seconds))
            self._bar.console.print(f"{mark} {name}  [dim]{took}  {status.news}[/dim]", highlight=False, soft_wrap=True)


_LOOK_EVERY_S = 0.3


@dataclass(frozen=True)
class Machine:
    """Where a study runs.

    Attributes:
        cores: CPUs to use; None for all that this process may.
        profile: A cluster's profile, "slurm" or a folder; None for this machine.
    """

    cores: int | None = None
    profile: str | None = None


def run_study(study: Study, machine: Machine | None = None) -> Path:
    """Run all jobs of a study that are not done yet.

    Args:
        study: The study.
        machine: Where it runs.

    Returns:
        The report's path.

    Raises:
        SetupError: It runs already, or something that it needs is missing.
        FemurError: Jobs failed; what and why has been printed.
    """
    engine = engine_of(study, machine or Machine())
    if sys.stdout.isatty():
        # The comparison's tables are made for this window, though it is another process that writes them.
        os.environ[COLUMNS] = str(shutil.get_terminal_size().columns)
    jobs = jobs_of(study, device=engine.device)
    with _alone(study):
        _check_weights(study)
        began = time.time()
        try:
            code = _run(engine, jobs)
        except KeyboardInterrupt:
            sys.stderr.write("\nStopped. The same command goes on.\n")
            raise
        failed = failures(study, jobs, since=began)
    if failed:
        print_failures(failed)
    if failed or code:
        log = Records(study.records).engine_log
        msg = f"{len(failed) or 'Some'} of {len(jobs)} jobs are not done; the same command tries again. ({log})"
        raise FemurError(msg)
    return jobs[COMPARE].made


def print_scores(study: Study) -> None:
    """Print what the comparison printed."""
    text = Records(study.records).log(jobs_of(study)[COMPARE]).read_text(encoding="utf-8")
    last = text.rsplit("\n$ ", 1)[-1].splitlines()[1:-1]
    sys.stdout.write("\n".join(line for line in last if not line.startswith("Scoring ")) + "\n")


def engine_of(study: Study, machine: Machine) -> Engine:
    """The engine for a machine, with its device found."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = machine.cores or usable
    if machine.profile:
        asks = any(key in study.cluster for key in ("gres", "gpu-partition"))
        device = ("cuda" if asks else "cpu") if study.device == "auto" else study.device
        return Engine(study, device, 0, cores, study.threads or 0, machine.profile)
    device, gpus = find_device(study.device)
    # Several GPUs share the CPUs, which load and augment for them.
    return Engine(study, device, gpus, cores, min(study.threads or max(cores // max(gpus, 1), 1), cores))


@contextmanager
def _alone(study: Study) -> Iterator[None]:
    from filelock import FileLock, Timeout

    study.records.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(study.records / "lock", blocking=False):
            yield
    except Timeout:
        msg = f"{study.folder}: this study is running already, in another terminal or on another machine."
        raise SetupError(msg) from None


def _check_weights(study: Study) -> None:
    """Say at once what would stop the study hours later.

    Raises:
        SetupError: TotalSegmentator's weights are needed, but are not here.
    """
    fast = {options.get("fast", False) for options in study.plans.values() if options.get("from") == "totalsegmentator"}
    fast |= {model == "3mm" for model in study.baseline}
    if fast:
        from nnunet_femur.weights import find_model

        for each in sorted(fast):
            find_model(fast=each)


def _run(engine: Engine, jobs: Mapping[str, Job]) -> int:
    """Run the engine and show how far it is; its own words go to a log."""
    records = Records(engine.study.records)
    with engine.started(jobs.values()) as process, Show(jobs, records) as show:
        pump = Thread(target=_write, args=(process.stdout or (), records.engine_log), daemon=True)
        pump.start()
        waiting = engine.waiting()
        while process.poll() is None:
            show.look(waiting.look() if waiting else "")
            time.sleep(_LOOK_EVERY_S)
        pump.join()
        show.look()
    return process.returncode


def _write(lines: Iterable[str], log: Path) -> None:
    # An interrupted study closes the pipe that this reads.
    with log.open("w", encoding="utf-8") as file, suppress(ValueError):
        for line in lines:
            file.write(line)
            file.flush()
