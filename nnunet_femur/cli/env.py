"""``nnfemur env``: nnU-Net's folders, this package's trainers, and TotalSegmentator on any volume."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def env(
    folder: Annotated[Path, typer.Argument(help="The folder for nnU-Net's three folders; it need not exist.")] = Path(),
    stock: Annotated[  # noqa: FBT002
        bool, typer.Option("--stock", help="Keep the stock program as the command TotalSegmentator.")
    ] = False,
    shell: Annotated[
        str | None,
        typer.Option(help="The shell that reads the lines: 'sh' or 'powershell'. Default: powershell on Windows."),
    ] = None,
) -> None:
    """Print lines of a shell that point nnU-Net to FOLDER and to this package's trainers.

    With them, the command TotalSegmentator also accepts every volume that this package reads, as in
    `TotalSegmentator -i ct.nrrd`.

    Example: eval "$(nnfemur env ~/femur)"

    In PowerShell: nnfemur env ~/femur | Out-String | Invoke-Expression
    """
    from nnunet_femur.dataset.shell_lines import export_lines

    lines = export_lines(folder, launcher=not stock, shell_kind=shell)
    # Bytes: text would end with CR LF on Windows, and Git Bash would take the CR as a part of the value.
    typer.echo(os.fsencode("".join(f"{line}\n" for line in lines)), nl=False)
