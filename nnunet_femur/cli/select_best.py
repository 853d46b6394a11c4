"""``nnfemur select``: the best trained model or ensemble on validation cases, with its postprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def select(
    candidates: Annotated[
        list[Path],
        typer.Argument(help="Folders of trained models, then of ensembles; one to postprocess it.", metavar="MODEL..."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write, beside the models.")],
    fold: Annotated[
        list[int] | None,
        typer.Option("--fold", help="Fold to use; may be repeated. [default: all that every model has validated]"),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Threads that read and score masks.")] = 2,
) -> None:
    """Choose the best model on validation cases and its postprocessing, as nnUNetv2_find_best_configuration does.

    Both are applied to the test set, and written as a method for the comparison.

    Example: nnfemur select A__nnUNetPlans__2d B__nnUNetPlans__3d_fullres -o Best__validation__postprocessed
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from nnunet_femur.progress import TerminalProgress
    from nnunet_femur.selection import select as run

    made = run(candidates, output, folds=fold, jobs=jobs, progress=TerminalProgress())
    table = Table(box=None, pad_edge=False)
    table.add_column("candidate", overflow="fold")
    table.add_column("validation Dice", justify="right")
    for name, dice in made.dice.items():
        table.add_row(escape(name), f"{dice:.4f}")
    console = Console()
    console.print(table)
    steps = ", ".join(made.postprocessing) or "none, since it did not improve the Dice"
    console.print(f"Chosen: {made.best}. Postprocessing: {steps}.", highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"Validation Dice after postprocessing: {made.dice_postprocessed:.4f}, optimistic, since it was chosen by.",
        highlight=False,
    )
    typer.echo(made.folder)
