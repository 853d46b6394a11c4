"""``nnfemur env``: where nnU-Net works, and our trainers for it to find."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def env(
    folder: Annotated[Path, typer.Argument(help="The folder that holds, or will hold, nnU-Net's three.")] = Path(),
) -> None:
    """Print the shell lines that point nnU-Net at FOLDER and at this package's trainers.

    Example: eval "$(nnfemur env ~/femur)"
    """
    from nnunet_femur.environment import export_lines

    for line in export_lines(folder):
        typer.echo(line)
