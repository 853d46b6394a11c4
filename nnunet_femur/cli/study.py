"""``nnfemur study``: every method and fold, the test set and the comparison, from one file."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterator


class _RunsByDefault(TyperGroup):
    """Group of verbs in which ``nnfemur study FILE`` is ``nnfemur study run FILE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the verb ``run`` if the first word is not a verb."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return super().parse_args(ctx, args)


study = typer.Typer(
    cls=_RunsByDefault,
    no_args_is_help=True,
    help="Train, predict and compare all methods of a study, from one file.\n\n"
    "nnfemur study FILE is short for nnfemur study run FILE.\n\n"
    "Example: nnfemur study init femur.yaml --preset paper --source ~/source",
)


def run(
    file: Annotated[Path, typer.Argument(help="The study file, as `nnfemur study init` writes it.")],
    cores: Annotated[int | None, typer.Option(min=1, help="Number of CPU cores to use. [default: all]")] = None,
    profile: Annotated[
        str | None, typer.Option(help="Run on a cluster: 'slurm', or a folder with a Snakemake profile.")
    ] = None,
    dry_run: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--dry-run", "-n", help="Print the jobs that would run, with their time and disk space."),
    ] = False,
) -> None:
    """Run all jobs of a study that are not up to date: convert, plan, train, predict, baseline, ensembles, compare.

    You may interrupt it at any time; the same command continues. After a change of the file, the jobs that depend on
    the change run again.

    Example: nnfemur study femur.yaml --dry-run
    """
    from nnunet_femur.progress import TerminalProgress
    from nnunet_femur.study import print_plan, print_scores, read_study, run_study

    given = read_study(file)
    if dry_run:
        print_plan(given, cores=cores, profile=profile)
        return
    with interruptible():
        result = run_study(given, cores=cores, profile=profile, progress=TerminalProgress())
    print_scores(given)
    typer.echo(result.report)


@contextmanager
def interruptible() -> Iterator[None]:
    """Tell a user who presses Ctrl-C that the same command continues."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("\nStopped. The same command continues.", err=True)
        raise


def init(
    file: Annotated[Path, typer.Argument(help="The file to write.")] = Path("study.yaml"),
    preset: Annotated[
        str,
        typer.Option(
            help="'template': every option explained; 'paper': the study's methods; 'quick': a first comparison; "
            "'nnunet': nnU-Net's own networks, ended as nnU-Net ends; 'demo': phantoms."
        ),
    ] = "template",
    source: Annotated[Path | None, typer.Option(help="Folder or table of your CTs and masks.")] = None,
) -> None:
    """Write a study file with comments, to be edited and run.

    Example: nnfemur study init femur.yaml --preset paper --source ~/source
    """
    from nnunet_femur.study import write_preset

    write_preset(file, preset, source=source)
    typer.echo(f"{file}: written. Edit it, then run: nnfemur study {file} --dry-run")


study.command()(run)
study.command()(init)
