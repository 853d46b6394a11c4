"""Options that several verbs of ``nnfemur`` share."""

from __future__ import annotations

from typing import Annotated

import typer

AnyValues = Annotated[
    bool, typer.Option("--any-values", help="Segment volumes whose values are not HU too; the record notes it.")
]
Device = Annotated[str, typer.Option("--device", help="'auto', 'cpu', 'cuda' or 'mps'.")]
EmptyMasks = Annotated[
    str, typer.Option("--empty-masks", help="Scores of empty masks: 'strict', 'formula' or 'brats'.")
]
SliceSurfaces = Annotated[
    bool, typer.Option("--slice-surfaces", help="Compute surface metrics in slices as well, half a second per case.")
]
Segments = Annotated[
    list[str] | None,
    typer.Option(help="Segment that is femur; may be repeated. [the only one, or those named femur]"),
]
Labels = Annotated[str | None, typer.Option(help="Values of a mask that are femur, as 1,2. [1, or the only one]")]
