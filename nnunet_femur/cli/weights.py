"""``nnfemur weights``: TotalSegmentator's models and the encoders' weights on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

weights = typer.Typer(
    help="Find, download and verify the weights that models start from.\n\nExample: nnfemur weights download",
    no_args_is_help=True,
)

Fast = Annotated[bool, typer.Option("--fast", help="Use the 3 mm model instead of the 1.5 mm model.")]


def path(fast: Fast = False) -> None:  # noqa: FBT002
    """Print the folder of TotalSegmentator's model that segments the femur.

    Example: nnfemur weights path
    """
    from nnunet_femur.weights.models import find_model

    typer.echo(find_model(fast=fast).folder)


def verify(fast: Fast = False) -> None:  # noqa: FBT002
    """Check that TotalSegmentator's models are complete and segment the classes femur_left and femur_right.

    The exit status is 1 if there are problems.

    Example: nnfemur weights verify
    """
    from nnunet_femur.weights.models import find_model, weights_folder
    from nnunet_femur.weights.verification import verify as find_problems

    problems = find_problems(fast=fast)
    for each in problems:
        typer.echo(f"{each.dataset}: {each.problem}", err=True)
    if problems:
        raise typer.Exit(1)
    dummy = ", but these are dummy weights, not TotalSegmentator's" if find_model(fast=fast).is_dummy else ""
    typer.echo(f"{weights_folder()}: the models are complete{dummy}.")


def download(
    fast: Fast = False,  # noqa: FBT002
    from_zip: Annotated[
        list[Path] | None, typer.Option(help="Archive to unpack on a machine without internet; may be repeated.")
    ] = None,
    from_folder: Annotated[
        Path | None, typer.Option(help="Folder to copy from, such as the weights folder of another machine.")
    ] = None,
) -> None:
    """Install TotalSegmentator's models in TotalSegmentator's weights folder; installed models are not replaced.

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


def encoders(
    download: Annotated[  # noqa: FBT002
        bool, typer.Option("--download", help="Download missing files from the model hub.")
    ] = False,
    from_folder: Annotated[
        Path | None,
        typer.Option(help="Check and copy the files of this folder, such as a copy from another machine."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the files. [default: $NNFEMUR_ENCODERS, or ~/.nnfemur/encoders]")
    ] = None,
) -> None:
    """List and check the ImageNet weights that the 2D networks start from, or install them on this machine.

    For a machine without internet, run it with --download on another machine, copy the folder that it prints, and run
    it here with --from-folder. The exit status is 1 if a file is missing or damaged.

    Example: nnfemur weights encoders --from-folder /media/usb/encoders
    """
    from nnunet_femur.errors import InputError
    from nnunet_femur.progress import TerminalProgress
    from nnunet_femur.weights import encoder_loading
    from nnunet_femur.weights import encoders as encoder_files

    here = encoder_files.encoders_folder() if folder is None else folder
    if download and from_folder is not None:
        msg = "--download and --from-folder exclude each other; give one."
        raise typer.BadParameter(msg)
    if download:
        encoder_files.download(here, progress=TerminalProgress())
    if from_folder is not None:
        encoder_loading.adopt_folder(from_folder, here)
    problems = []
    typer.echo(here)
    for file, used_by in encoder_files.all_weights_files().items():
        try:
            encoder_loading.check_weights_file(here / file.name, used_by[0])
            state = "ok"
        except InputError as error:
            problems.append(error)
            state = "missing" if error.code == "no-weights" else "damaged"
        typer.echo(f"{state:8}{file.name:48}{', '.join(used_by)}")
    if problems:
        raise InputError("\n".join(map(str, problems)), code=problems[0].code)


for command in (path, verify, download, encoders):
    weights.command()(command)
