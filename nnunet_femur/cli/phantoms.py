"""``nnfemur phantoms``: write femur phantoms as a source folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def phantoms(
    folder: Annotated[Path, typer.Argument(help="Folder to write Images/ and GoldStandard/ to.")],
    cases: Annotated[int, typer.Option(min=1, help="Number of cases.")] = 12,
    seed: Annotated[int, typer.Option(help="Seed; the same seed gives the same files.")] = 0,
    size: Annotated[tuple[int, int, int], typer.Option(help="Number of voxels along z, y, x.", metavar="Z Y X")] = (
        96,
        64,
        64,
    ),
    spacing: Annotated[
        tuple[float, float, float], typer.Option(help="Spacing along z, y, x in mm.", metavar="Z Y X")
    ] = (5.0, 3.0, 3.0),
) -> None:
    """Write femur phantoms with exact masks, as pairs of NRRD files that nnfemur convert reads.

    Example: nnfemur phantoms source --cases 12
    """
    from nnunet_femur.progress import TerminalProgress
    from nnunet_femur.testing import write_phantoms

    write_phantoms(folder, cases=cases, seed=seed, size_zyx=size, spacing_mm_zyx=spacing, progress=TerminalProgress())
