"""``nnfemur demo``: the whole way once, on phantoms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[Path, typer.Argument(help="Where everything is written; run again to resume.")] = Path(
        "nnfemur-demo"
    ),
    cases: Annotated[int, typer.Option(min=6, help="Number of phantoms.")] = 12,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of both trainers. [those of the preset]")] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Iterations in an epoch. [those of the preset]")] = None,
) -> None:
    """Run the whole way once on phantoms: convert, plan, train a 2D and a 3D method, predict, compare.

    Example: nnfemur demo
    """
    from nnunet_femur.demo import DemoSize, run_demo

    run_demo(folder, size=DemoSize(cases=cases, epochs=epochs, iterations=iterations))
