"""How far a study is: a bar of all jobs, a line for each that runs, and one for each that has ended."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from rich.progress import TaskID

    from nnunet_femur.study.jobs import Job
    from nnunet_femur.study.state import Records, Status


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
