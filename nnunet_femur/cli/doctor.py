"""``nnfemur doctor``: checks of this machine."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,  # noqa: FBT002
) -> None:
    """Check versions, folders, disk, memory, GPU, workers and weights, each with the command that fixes it.

    The exit status is 1 if something is broken. Warnings leave it at 0.

    Example: nnfemur doctor
    """
    from nnunet_femur.doctor import examination, examine, healthy

    results = examine()
    if as_json:
        typer.echo(examination.as_json(results))
    else:
        examination.print_table(results)
    if not healthy(result for found in results.values() for result in found):
        raise typer.Exit(1)
