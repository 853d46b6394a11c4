"""Progress of a long loop, drawn by whoever calls: a bar in a terminal, nothing in a notebook or a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")


class Track(Protocol):
    """Passes the items of a loop through and shows how far it is, like ``rich.progress.track``."""

    def __call__(self, items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
        """Yield `items`; `total` is their number where `items` has no length."""


def silent(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:  # noqa: ARG001
    """Yield the items and show nothing."""
    yield from items


def bar(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield the items and draw a bar on standard error, so that standard output stays clean for results."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield from progress.track(items, description=description, total=total)
