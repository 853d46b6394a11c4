"""The commands ``nnfemur`` and ``nnfemur-compare``: one file for each verb, thin over functions of the package."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnunet_femur.cli.baseline import baseline
from nnunet_femur.cli.compare import compare
from nnunet_femur.cli.convert import convert
from nnunet_femur.cli.demo import demo
from nnunet_femur.cli.doctor import doctor
from nnunet_femur.cli.ensemble import ensemble
from nnunet_femur.cli.env import env
from nnunet_femur.cli.export_model import export
from nnunet_femur.cli.measure import MeasureCommand, measure
from nnunet_femur.cli.merge import merge
from nnunet_femur.cli.phantoms import phantoms
from nnunet_femur.cli.plan import plan
from nnunet_femur.cli.predict import predict
from nnunet_femur.cli.review import review
from nnunet_femur.cli.score import score
from nnunet_femur.cli.select_best import select
from nnunet_femur.cli.study import study
from nnunet_femur.cli.weights import weights
from nnunet_femur.dataset.environment import sleeping_threads
from nnunet_femur.errors import FemurError
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

_SETTINGS: dict[str, Any] = {
    "add_completion": False,
    # In the default mode, "[all]" would be markup that is not shown.
    "rich_markup_mode": "markdown",
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}

app = typer.Typer(
    help="Segment the femur in CT with nnU-Net and TotalSegmentator, from hospital files to a report.\n\n"
    "Example: nnfemur demo",
    no_args_is_help=True,
    **_SETTINGS,
)


def _print_version(value: bool) -> None:  # noqa: FBT001
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


_FIRST, _STAGES, _WHOLE = "First steps", "From files to a report", "A whole study"

verb: Callable[..., None]
for verb in (demo, doctor, env, phantoms):
    app.command(rich_help_panel=_FIRST)(verb)
app.add_typer(weights, name="weights", rich_help_panel=_FIRST)
for stage in (convert, plan, baseline, predict, review, ensemble, select, measure, merge, score, compare, export):
    app.command(rich_help_panel=_STAGES, cls=MeasureCommand if stage is measure else None)(stage)
app.add_typer(study, name="study", rich_help_panel=_WHOLE)

_compare = typer.Typer(**_SETTINGS)
_compare.command()(compare)


def main() -> None:
    """Run ``nnfemur``."""
    _run(app)


def compare_main() -> None:
    """Run ``nnfemur-compare``, a short name of ``nnfemur compare``."""
    _run(_compare)


def _run(command: Callable[[], object]) -> None:
    """Run a command; an error that the user can fix ends it with its message and status 1."""
    _print_all_characters()
    # For this process, which has not imported PyTorch yet, and for those that it starts.
    os.environ.update(sleeping_threads())
    try:
        command()
    except FemurError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
    except OSError as error:
        # Permissions and full disks can meet any file; other errors of the system are errors of the program.
        if error.filename is None or error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC):
            raise
        fix = "Free some space" if error.errno == errno.ENOSPC else "Change its permissions"
        sys.stderr.write(f"error: {error.filename}: {error.strerror}. {fix}, or choose another folder.\n")
        sys.exit(1)


def _print_all_characters() -> None:
    """Let characters that the terminal's encoding lacks, as on Windows in pipes, be replaced by a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors="replace")
