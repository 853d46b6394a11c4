"""``nnfemur demo``: all stages of a study, on phantoms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[Path, typer.Argument(help="Folder to write everything to.")] = Path("nnfemur-demo"),
    cases: Annotated[int | None, typer.Option(min=6, help="Number of phantoms. [default: 12]")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of both trainers. [default: those of the preset]")
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, help="Iterations per epoch. [default: those of the preset]")
    ] = None,
) -> None:
    """Convert, plan, train a 2D and a 3D method, predict and compare, on phantoms: six minutes on two CPU cores.

    The demo is a study like any other; its file is FOLDER/study.yaml. The same command continues an interrupted demo.

    Example: nnfemur demo
    """
    from nnunet_femur.cli.study import interruptible
    from nnunet_femur.progress import TerminalProgress
    from nnunet_femur.study import print_scores, read_study
    from nnunet_femur.study.presets import FILE, DemoSize, run_demo

    given = any((cases, epochs, iterations))
    size = DemoSize(cases=cases or DemoSize.cases, epochs=epochs, iterations=iterations) if given else None
    with interruptible():
        result = run_demo(folder, size=size, progress=TerminalProgress())
    print_scores(read_study(folder / FILE))
    typer.echo(result.report)
