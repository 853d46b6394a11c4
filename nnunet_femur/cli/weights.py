"""``nnfemur weights``: TotalSegmentator's weights on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnunet_femur.cli.weights_encoders import encoders

weights = typer.Typer(help="Find, download and verify the weights that models start from.", no_args_is_help=True)

Fast = Annotated[bool, typer.Option("--fast", help="The 3 mm model instead of the 1.5 mm model.")]


def path(fast: Fast = False) -> None:  # noqa: FBT002
    """Print the folder of TotalSegmentator's model that segments the femur.

    Example: nnfemur weights path
    """
    from nnunet_femur.weights.models import find_model

    typer.echo(find_model(fast=fast).folder)


def verify(fast: Fast = False) -> None:  # noqa: FBT002
    """Check that the models are whole, with the classes femur_left and femur_right in their place.

    Example: nnfemur weights verify
    """
    from nnunet_femur.weights.models import find_model, weights_folder
    from nnunet_femur.weights.verification import verify as find_problems

    findings = find_problems(fast=fast)
    for finding in findings:
        typer.echo(f"{finding.dataset}: {finding.problem}", err=True)
    if findings:
        raise typer.Exit(1)
    dummy_model = (
        ", but these are dummy weights, which know nothing of patients" if find_model(fast=fast).is_dummy else ""
    )
    typer.echo(f"{weights_folder()}: the models are whole{dummy_model}.")


def download(
    fast: Fast = False,  # noqa: FBT002
    from_zip: Annotated[
        list[Path] | None, typer.Option(help="Archive to unpack instead, on a machine without internet; repeatable.")
    ] = None,
    from_folder: Annotated[
        Path | None, typer.Option(help="Folder to copy from instead, as another machine's weights folder.")
    ] = None,
) -> None:
    """Bring TotalSegmentator's models to where TotalSegmentator keeps them; those that are there stay.

    Example: nnfemur weights download

    Without internet: nnfemur weights download --from-zip Dataset294.zip --from-zip Dataset298.zip
    """
    from nnunet_femur import weights as models
    from nnunet_femur.progress import TerminalProgress

    folders = [
        folder for archive in from_zip or () for folder in models.install_zip(archive, progress=TerminalProgress())
    ]
    if from_folder is not None:
        folders += models.install_folder(from_folder)
    if not from_zip and from_folder is None:
        folders = models.download(fast=fast)
    for folder in folders:
        typer.echo(folder)


for command in (path, verify, download, encoders):
    weights.command()(command)
