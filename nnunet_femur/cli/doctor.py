"""``nnfemur doctor``: what will work here, and what to do about the rest."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,  # noqa: FBT002
) -> None:
    """Check versions, folders, disk, memory, GPU, workers and weights, each with the command that mends it.

    Example: nnfemur doctor
    """
    from nnunet_femur import doctor as checks
    from nnunet_femur.doctor import examination as printing

    findings = checks.examine()
    if as_json:
        typer.echo(printing.as_json(findings))
    else:
        printing.print_table(findings)
    if not checks.healthy(finding for found in findings.values() for finding in found):
        raise typer.Exit(1)
