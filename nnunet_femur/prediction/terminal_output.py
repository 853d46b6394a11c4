"""A batch of predictions in a terminal: a bar while it runs, a table when it has ended."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress, TaskID

    from nnunet_femur.prediction.batch import Outcome
    from nnunet_femur.prediction.results import CaseResult


class Bars:
    """A bar for the cases and one for the passes through the network, on standard error."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._cases: TaskID = progress.add_task("Predict", total=None)
        self._windows: TaskID | None = None

    def start(self, cases: int) -> None:
        """Draw the bar of the cases."""
        self._progress.update(self._cases, total=cases)

    def case(self, name: str) -> None:
        """Draw the bar of a case; in a log, where no bar is drawn, name it."""
        if not self._progress.console.is_terminal:
            self._progress.console.print(f"Predicting {name}", highlight=False, markup=False, soft_wrap=True)
        self._windows = self._progress.add_task(f"  {name}", total=None)

    def window(self, done: int, total: int) -> None:
        """Move the bar of the case."""
        if self._windows is not None:
            self._progress.update(self._windows, completed=done, total=total)

    def end(self, result: CaseResult, *, skipped: bool) -> None:
        """Move the bar of the cases; a failure is told at once."""
        if self._windows is not None and not skipped:
            self._progress.remove_task(self._windows)
            self._windows = None
        self._progress.advance(self._cases)
        if result.error:
            self._progress.console.print(f"[red]failed[/] {result.case}: {result.error}", highlight=False)


@contextmanager
def bars() -> Iterator[Bars]:
    """Give bars that are drawn while the context lasts."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield Bars(progress)


def print_outcome(outcome: Outcome) -> None:
    """Print a table of the cases, and where they lie."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table(box=None, pad_edge=False)
    ensemble = any(result.disagreement is not None for result in outcome.results)
    table.add_column("case", overflow="fold")
    for name in ("volume (ml)", "pieces", *(("disagreement",) if ensemble else ()), "time (s)"):
        table.add_column(name, justify="right")
    table.add_column("to look at", overflow="fold")
    for result in outcome.results:
        numbers = ["-" if result.volume_ml is None else f"{result.volume_ml:.1f}", str(result.pieces or 0)]
        if ensemble:
            numbers.append("-" if result.disagreement is None else f"{result.disagreement:.3f}")
        seconds = "done before" if result.case in outcome.skipped else f"{result.seconds:.1f}"
        notes = f"[red]failed[/] {escape(result.error)}" if result.error else escape("; ".join(result.warnings))
        table.add_row(escape(result.case), *numbers, seconds, notes)
    console.print(table)
    console.print(str(outcome.folder), highlight=False, soft_wrap=True)
