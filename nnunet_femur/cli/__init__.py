"""The commands `nnfemur` and `nnfemur-compare`: a thin layer, a file a verb, over functions useful in a notebook."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from nnunet_femur.cli.baseline import baseline
from nnunet_femur.cli.compare import compare
from nnunet_femur.cli.convert import convert
from nnunet_femur.cli.demo import demo
from nnunet_femur.cli.doctor import doctor
from nnunet_femur.cli.env import env
from nnunet_femur.cli.phantoms import phantoms
from nnunet_femur.cli.plan import plan
from nnunet_femur.cli.predict import predict
from nnunet_femur.cli.score import score
from nnunet_femur.cli.study import study
from nnunet_femur.cli.weights import weights
from nnunet_femur.dataset.environment import sleeping_threads
from nnunet_femur.errors import FemurError
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(
    help="Segment the femur in CT with nnU-Net and TotalSegmentator, from hospital files to a report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:  # noqa: FBT001
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    pass


for verb in (demo, env, phantoms, convert, plan, baseline, predict, score, compare, doctor):
    app.command()(verb)
app.add_typer(study, name="study")
app.add_typer(weights, name="weights")


def _run(command: Callable[[], object]) -> None:
    # For this process, which has not imported PyTorch yet, and for those that it starts.
    os.environ.update(sleeping_threads())
    try:
        command()
    except FemurError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)


def main() -> None:
    """Run `nnfemur`; a mendable problem ends it with status 1 and one message."""
    _run(app)


def compare_main() -> None:
    """Run `nnfemur-compare`, which is `nnfemur compare` by the name users type most."""
    _run(lambda: typer.run(compare))
