"""Options that ``nnfemur score`` and ``nnfemur-compare`` share."""

from __future__ import annotations

from typing import Annotated

import typer

EmptyMasks = Annotated[
    str, typer.Option("--empty-masks", help="What an empty mask scores: 'strict', 'formula' or 'brats'.")
]
SliceSurfaces = Annotated[
    bool, typer.Option("--slice-surfaces", help="Give slices surface scores too, half a second per case.")
]
Segments = Annotated[
    list[str] | None,
    typer.Option(help="Segment that is femur; may be repeated. [the only one, or those named femur]"),
]
Labels = Annotated[str | None, typer.Option(help="Values of a mask that are femur, as 1,2. [1, or the only one]")]
