"""Progress of long work: one protocol that all long work reports to, silent by default."""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

T = TypeVar("T")


class Progress(Protocol):
    """Receives the progress of long work. Implement its three methods to show progress anywhere.

    Tasks are told apart by their names, and several may run at a time: the cases of a batch, and the windows of the
    case that is being predicted.

    Example:
        >>> class Percent:
        ...     def begin(self, task, total=None):
        ...         self.total = total
        ...
        ...     def advance(self, task, done, *, total=None, note=""):
        ...         print(f"{task}: {100 * done / (total or self.total):.0f} %")
        ...
        ...     def end(self, task, message=""):
        ...         print(f"{task}: ended")
        >>> for _ in track("ab", "Converting", progress=Percent()):
        ...     pass
        Converting: 50 %
        Converting: 100 %
        Converting: ended
    """

    def begin(self, task: str, total: float | None = None) -> None:
        """Start a task.

        Args:
            task: Its name, shown to the user.
            total: Number of its steps; None if it is not known yet.
        """

    def advance(self, task: str, done: float, *, total: float | None = None, note: str = "") -> None:
        """Report the number of steps done so far.

        Args:
            task: The name of a task that was started.
            done: Steps done, from 0.
            total: Number of steps, where it is known only now.
            note: Latest news of the task, a few words.
        """

    def end(self, task: str, message: str = "") -> None:
        """End a task.

        Args:
            task: The name of a task that was started.
            message: A line to keep on the screen, such as the reason of a failure; empty for none.
        """


class Silent:
    """Progress that is shown nowhere."""

    def begin(self, task: str, total: float | None = None) -> None:
        """Do nothing."""

    def advance(self, task: str, done: float, *, total: float | None = None, note: str = "") -> None:
        """Do nothing."""

    def end(self, task: str, message: str = "") -> None:
        """Do nothing."""


SILENT = Silent()
"""Progress that is shown nowhere, the default of all functions."""


class TerminalProgress:
    """A bar for each task on standard error, so that standard output stays clean for results.

    In a log file, which has no bars, the name of each task is written in a line when it begins.

    Example:
        >>> for case in track(["L001", "L002"], "Converting", progress=TerminalProgress()):
        ...     print(case)
        L001
        L002
    """

    def __init__(self) -> None:
        self._bars: RichProgress | None = None
        self._tasks: dict[str, TaskID] = {}

    def begin(self, task: str, total: float | None = None) -> None:
        """Draw the bar of a task."""
        bars = self._drawn()
        if not bars.console.is_terminal:
            bars.console.print(task.strip(), highlight=False, markup=False, soft_wrap=True)
        self._tasks[task] = bars.add_task(task, total=total, note="")

    def advance(self, task: str, done: float, *, total: float | None = None, note: str = "") -> None:
        """Move the bar of a task."""
        if self._bars is not None and task in self._tasks:
            self._bars.update(self._tasks[task], completed=done, total=total, note=note)

    def end(self, task: str, message: str = "") -> None:
        """Remove the bar of a task, and print its message; the last bar of all stays as it is."""
        bars = self._drawn()
        if message:
            bars.console.print(message, highlight=False, markup=False, soft_wrap=True)
        number = self._tasks.pop(task, None)
        if self._tasks and number is not None:
            bars.remove_task(number)
        elif not self._tasks:
            bars.stop()
            self._bars = None

    def _drawn(self) -> RichProgress:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            note = TextColumn("[dim]{task.fields[note]}")
            self._bars = Progress(*columns, note, console=Console(stderr=True))
            self._bars.start()
        return self._bars


def track(
    items: Iterable[T], description: str, total: int | None = None, *, progress: Progress = SILENT
) -> Iterator[T]:
    """Yield items and report each as a step of one task.

    Args:
        items: The items of a loop.
        description: The name of the task.
        total: Number of items, where they have no length.
        progress: Receives the progress.

    Example:
        >>> [case for case in track(["L001", "L002"], "Converting")]
        ['L001', 'L002']
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    progress.begin(description, total)
    try:
        for done, item in enumerate(items, 1):
            yield item
            progress.advance(description, done)
    finally:
        progress.end(description)
