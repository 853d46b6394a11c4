"""``nnfemur review``: a page to look at predicted masks and to mark them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nnunet_femur.reviewing import Review


def review(
    folder: Annotated[Path, typer.Argument(help="Folder that nnfemur predict wrote.")],
    ct: Annotated[
        list[Path] | None,
        typer.Option(
            "--ct",
            help="CT, or folder of CTs, named as the masks; may be repeated. [default: the paths in predictions.json]",
        ),
    ] = None,
    serve: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--serve", help="Show the page on this machine (127.0.0.1), and save marks as they are given."),
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of --serve; 0 for any free one.")] = 0,
    marks: Annotated[
        Path | None, typer.Option(help="A review.json that was downloaded from the page, to take over its marks.")
    ] = None,
    worst: Annotated[
        int | None,
        typer.Option(min=1, help="Show this number of cases: those with the largest review score.", show_default="all"),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Number of processes that check masks.")] = 1,
) -> None:
    """Write a page of predicted masks, the doubtful ones first, and mark them: accept, correct, reject.

    Example: nnfemur review out --serve
    """
    from nnunet_femur.progress import TerminalProgress
    from nnunet_femur.reviewing import ReviewServer
    from nnunet_femur.reviewing import review as run

    found = run(folder, ct=ct or (), marks=marks, worst=worst, jobs=jobs, progress=TerminalProgress())
    _print_cases(found)
    typer.echo(found.page)
    if serve:
        server = ReviewServer(folder, port)
        typer.echo(f"Open {server.url} in a browser. Marks are saved in {folder}. Ctrl+C ends.")
        try:
            server.serve()
        except KeyboardInterrupt:
            typer.echo("Ended.")


def _print_cases(found: Review) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("case", overflow="fold")
    table.add_column("review score", justify="right")
    table.add_column("status")
    table.add_column("note", overflow="fold")
    for each in found.marks:
        table.add_row(each.case, f"{found.scores[each.case]:.2f}", each.status_in(found.folder), each.note)
    Console(highlight=False, markup=False).print(table)
