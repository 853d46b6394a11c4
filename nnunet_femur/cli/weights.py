"""``nnfemur weights``: weights that models start from."""

from __future__ import annotations

import typer

from nnunet_femur.cli.weights_encoders import encoders

weights = typer.Typer(help="Find, download and verify the weights that models start from.", no_args_is_help=True)


@weights.callback()
def _group() -> None:
    pass


for command in (encoders,):
    weights.command()(command)
