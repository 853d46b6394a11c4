"""``nnfemur weights encoders``: pretrained encoders of the two-dimensional networks, also without internet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def encoders(
    download: Annotated[  # noqa: FBT002
        bool, typer.Option("--download", help="Fetch what is missing from the model hub.")
    ] = False,
    from_folder: Annotated[
        Path | None,
        typer.Option(help="Take the files from this folder, a copy of another machine's; they are checked first."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where the files lie. [$NNFEMUR_ENCODERS, else ~/.nnfemur/encoders]")
    ] = None,
) -> None:
    """List and check the ImageNet weights that the 2D networks start from, or bring them here.

    Machines without internet: run it with --download where there is some, copy the folder that it prints, and run it
    here with --from-folder. Ends with status 1 if a file is missing or damaged.

    Example: nnfemur weights encoders --from-folder /media/usb/encoders
    """
    from nnunet_femur.errors import InputError
    from nnunet_femur.weights import encoder_loading as encoder_weights
    from nnunet_femur.weights import encoders as encoder_files
    from nnunet_femur.weights.encoders import encoders_folder

    here = encoders_folder() if folder is None else folder
    if download and from_folder is not None:
        msg = "--download and --from-folder are two ways to the same files; give one."
        raise typer.BadParameter(msg)
    if download:
        encoder_files.download(here, on_file=lambda name: typer.echo(f"fetching {name}", err=True))
    if from_folder is not None:
        encoder_weights.adopt_folder(from_folder, here)
    problems = []
    typer.echo(here)
    for file, used_by in encoder_files.all_weights_files().items():
        try:
            encoder_weights.check_weights_file(here / file.name, used_by[0])
            state = "ok"
        except InputError as error:
            problems.append(str(error))
            state = "damaged" if (here / file.name).is_file() else "missing"
        typer.echo(f"{state:8}{file.name:48}{', '.join(used_by)}")
    if problems:
        raise InputError("\n".join(problems))
