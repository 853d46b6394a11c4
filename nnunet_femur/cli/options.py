"""Options that several verbs of ``nnfemur`` share."""

from __future__ import annotations

from typing import Annotated

import typer

AnyValues = Annotated[
    bool, typer.Option("--any-values", help="Also segment volumes whose values are not HU; their record notes it.")
]
Device = Annotated[str, typer.Option("--device", help="Device to compute on: 'auto', 'cpu', 'cuda' or 'mps'.")]
EmptyMasks = Annotated[
    str, typer.Option("--empty-masks", help="Scores of empty masks: 'strict', 'formula' or 'brats'.")
]
SliceSurfaces = Annotated[
    bool,
    typer.Option(
        "--slice-surfaces", help="Also compute surface metrics in slices; takes half a second longer per case."
    ),
]
Part = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="NUMBER/COUNT",
        help="Do one of several parts, such as 3/16, chosen by the names of the cases; for several machines.",
    ),
]
Segments = Annotated[
    list[str] | None,
    typer.Option(help="Segment that is femur; may be repeated. [default: the only one, or those named femur]"),
]
Labels = Annotated[
    str | None, typer.Option(help="Values of a mask that are femur, such as 1,2. [default: 1, or the only one]")
]
