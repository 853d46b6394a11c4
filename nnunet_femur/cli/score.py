"""``nnfemur score``: every score of one case or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def score(
    prediction: Annotated[Path, typer.Argument(metavar="PRED", help="A predicted mask, or a folder of them.")],
    truth: Annotated[Path, typer.Argument(help="The true mask, or a folder with one of the same name for each.")],
    form: Annotated[
        str, typer.Option("--format", "-f", help="'table' of the main scores, or all of them as 'csv' or 'json'.")
    ] = "table",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write instead of standard output.")
    ] = None,
    empty_masks: Annotated[
        str, typer.Option("--empty-masks", help="What an empty mask scores: 'strict', 'formula' or 'brats'.")
    ] = "strict",
    slice_surfaces: Annotated[  # noqa: FBT002
        bool, typer.Option("--slice-surfaces", help="Give slices surface scores too, half a second per case.")
    ] = False,
    segment: Annotated[
        list[str] | None,
        typer.Option(help="Segment that is femur; may be repeated. [the only one, or those named femur]"),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Values of a mask that are femur, as 1,2. [1, or the only one]")
    ] = None,
    in_slices: Annotated[  # noqa: FBT002
        bool, typer.Option("--in-slices", help="The method works in slices, which the study's protocol treats apart.")
    ] = False,
) -> None:
    """Print every score of a predicted mask, or of a folder of them, against the truth.

    Example: nnfemur score prediction.nrrd truth.nrrd
    """
    from nnunet_femur.comparison.single import score_files
    from nnunet_femur.imaging.labels import parse_labels
    from nnunet_femur.progress import bar

    outcome = score_files(
        prediction,
        truth,
        policy=empty_masks,
        slice_surfaces=slice_surfaces,
        in_slices=in_slices,
        segments=segment or (),
        labels=parse_labels(labels),
        track=bar,
    )
    outcome.write(form, output)
    for warning in outcome.warnings:
        typer.echo(f"warning: {warning}", err=True)
    for one in outcome.unscored:
        typer.echo(f"not scored: {one.reason}", err=True)
    if outcome.unscored:
        raise typer.Exit(1)
