"""``nnfemur demo``: the whole way once, on phantoms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[Path, typer.Argument(help="Where everything is written; run again to resume.")] = Path(
        "nnfemur-demo"
    ),
    cases: Annotated[int | None, typer.Option(min=6, help="Number of phantoms. [12]")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of both trainers. [those of the preset]")] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Iterations in an epoch. [those of the preset]")] = None,
) -> None:
    """Run the whole way once on phantoms: convert, plan, train a 2D and a 3D method, predict, compare.

    It is a study like any other: FOLDER/study.yaml says what is done.

    Example: nnfemur demo
    """
    from nnunet_femur.study.demo_study import DemoSize, run_demo

    given = any((cases, epochs, iterations))
    size = DemoSize(cases=cases or DemoSize.cases, epochs=epochs, iterations=iterations) if given else None
    typer.echo(run_demo(folder, size=size))
