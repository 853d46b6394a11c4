"""``nnfemur env``: where nnU-Net works, our trainers for it to find, and TotalSegmentator on any volume."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def env(
    folder: Annotated[Path, typer.Argument(help="The folder that holds, or will hold, nnU-Net's three.")] = Path(),
    stock: Annotated[  # noqa: FBT002
        bool, typer.Option("--stock", help="Leave the command TotalSegmentator to the stock program.")
    ] = False,
) -> None:
    """Print the shell lines that point nnU-Net at FOLDER and at this package's trainers.

    They also let the command TotalSegmentator take any volume that is read here, as `TotalSegmentator -i ct.nrrd`.

    Example: eval "$(nnfemur env ~/femur)"
    """
    from nnunet_femur.dataset.environment import export_lines

    for line in export_lines(folder, launcher=not stock):
        typer.echo(line)
