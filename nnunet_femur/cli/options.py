"""Options that several verbs of ``nnfemur`` share."""

from __future__ import annotations

from typing import Annotated

import typer

AnyValues = Annotated[
    bool, typer.Option("--any-values", help="Segment volumes whose values are not HU too; the record notes it.")
]
Device = Annotated[str, typer.Option("--device", help="'auto', 'cpu', 'cuda' or 'mps'.")]
