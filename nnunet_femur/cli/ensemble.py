"""``nnfemur ensemble``: the mean of the probabilities of several trained models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

import typer


def ensemble(
    models: Annotated[
        list[Path], typer.Argument(help="Folders TRAINER__PLANS__CONFIGURATION, at least two.", metavar="MODEL...")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write, beside the models.")],
    fold: Annotated[
        list[int] | None,
        typer.Option("--fold", help="Fold to use; may be repeated. [default: all that every model has validated]"),
    ] = None,
    test: Annotated[
        str,
        typer.Option(help="Test set: predicted by each 'fold', by all folds together ('ensemble'), or 'none'."),
    ] = "fold",
) -> None:
    """Average the probabilities of several trained models, as nnUNetv2_ensemble does, and write them as a method.

    The models need probabilities: run nnUNetv2_train with --val --npz, and nnUNetv2_predict with --save_probabilities.

    Example: nnfemur ensemble A__nnUNetPlans__2d B__nnUNetPlans__3d_fullres -o Ensemble__A+B__mean
    """
    from nnunet_femur.progress import TerminalProgress
    from nnunet_femur.selection import ensemble as run

    kind = cast("Literal['fold', 'ensemble', 'none']", test)
    made = run(models, output, folds=fold, test=kind, progress=TerminalProgress())
    typer.echo(repr(made))
    typer.echo(made.folder)
