"""``nnfemur score``: all scores of one mask, or of a folder of masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnunet_femur.cli.options import EmptyMasks, Labels, Segments, SliceSurfaces  # noqa: TC001 (typer reads them)


def score(
    prediction: Annotated[Path, typer.Argument(metavar="PRED", help="A predicted mask, or a folder of them.")],
    reference: Annotated[
        Path,
        typer.Argument(
            metavar="REFERENCE",
            help="The reference mask, or a folder with a mask of the same name for each prediction.",
        ),
    ],
    form: Annotated[
        str,
        typer.Option("--format", "-f", help="Output: a 'table' of the main scores, or all scores as 'csv' or 'json'."),
    ] = "table",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write to. [default: standard output]")
    ] = None,
    empty_masks: EmptyMasks = "strict",
    slice_surfaces: SliceSurfaces = False,  # noqa: FBT002
    segment: Segments = None,
    labels: Labels = None,
    in_slices: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--in-slices",
            help="The predictions were made slice by slice; affects only the scores of the study's protocol.",
        ),
    ] = False,
) -> None:
    """Score a predicted mask, or a folder of predicted masks, against the reference.

    Example: nnfemur score prediction.nrrd reference.nrrd
    """
    from nnunet_femur.comparison.score_files import score_files
    from nnunet_femur.imaging.labels import parse_labels
    from nnunet_femur.progress import TerminalProgress

    outcome = score_files(
        prediction,
        reference,
        policy=empty_masks,
        slice_surfaces=slice_surfaces,
        in_slices=in_slices,
        segments=segment or (),
        labels=parse_labels(labels),
        progress=TerminalProgress(),
    )
    outcome.write(form, output)
    for warning in outcome.warnings:
        typer.echo(f"warning: {warning}", err=True)
    for one in outcome.unscored:
        typer.echo(f"not scored: {one.reason}", err=True)
    if outcome.unscored:
        raise typer.Exit(1)
