"""``nnfemur study``: every method and fold, the test set and the comparison, from one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup


class _RunsByDefault(TyperGroup):
    """``nnfemur study FILE`` is ``nnfemur study run FILE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb in front that the user need not type."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return super().parse_args(ctx, args)


study = typer.Typer(cls=_RunsByDefault, help="Every method and fold, the test set and the comparison, from one file.")


def run(
    file: Annotated[Path, typer.Argument(help="The study, as `nnfemur study init` writes it.")],
    cores: Annotated[int | None, typer.Option(min=1, help="CPUs to use here. [all]")] = None,
    profile: Annotated[
        str | None, typer.Option(help="'slurm', or a folder with a Snakemake profile: run on a cluster.")
    ] = None,
    dry_run: Annotated[  # noqa: FBT002
        bool, typer.Option("--dry-run", "-n", help="Say what would run, how long and on how much disk; run nothing.")
    ] = False,
) -> None:
    """Run whatever of a study is not done yet: convert, plan, train, predict, baseline, compare.

    Interrupt it at any time; the same command goes on. What changed in the file is done again, and what follows it.

    Example: nnfemur study femur.yaml --dry-run
    """
    from nnunet_femur.study import Machine, print_plan, print_scores, read_study, run_study

    given, machine = read_study(file), Machine(cores=cores, profile=profile)
    if dry_run:
        print_plan(given, machine)
        return
    report = run_study(given, machine)
    print_scores(given)
    typer.echo(report)


def init(
    file: Annotated[Path, typer.Argument(help="The file to write.")] = Path("study.yaml"),
    preset: Annotated[
        str, typer.Option(help="'template' with every option explained, 'paper', 'quick' or 'demo'.")
    ] = "template",
    source: Annotated[Path | None, typer.Option(help="Your CTs and masks, put into the file.")] = None,
) -> None:
    """Write the file of a study, with comments, to change and run.

    Example: nnfemur study init femur.yaml --preset paper --source ~/drop
    """
    from nnunet_femur.study import write_preset

    write_preset(file, preset, source=source)
    typer.echo(f"{file}: look through it, then run: nnfemur study {file} --dry-run")


study.command()(run)
study.command()(init)
