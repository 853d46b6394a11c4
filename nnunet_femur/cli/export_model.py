"""``nnfemur export``: a trained model for programs other than this package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[
        Path,
        typer.Argument(help="Folder TRAINER__PLANS__CONFIGURATION, a fold in it, or a model zip.", metavar="MODEL"),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="'nnunet': a zip file for stock nnU-Net; 'totalsegmentator': a weights folder for TotalSegmentator; "
            "'onnx': networks for ONNX Runtime, with a program that runs them.",
        ),
    ] = "nnunet",
    fold: Annotated[
        list[str] | None,
        typer.Option("--fold", help="Fold to export; may be repeated. [default: all trained]"),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(help="scores.csv of nnfemur compare, for the model card. [default: that beside the model]"),
    ] = None,
    ct: Annotated[Path | None, typer.Option("--ct", help="CT for the parity check. [default: a phantom]")] = None,
    device: Annotated[
        str, typer.Option("--device", help="Device of the parity check: 'auto', 'cpu', 'cuda' or 'mps'.")
    ] = "cpu",
    checkpoint: Annotated[
        str, typer.Option("--checkpoint", help="File name of the checkpoint in each fold.")
    ] = "checkpoint_final.pth",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,  # noqa: FBT002
) -> None:
    """Export a trained model, with a model card, checksums and a parity check, so that it runs without this package.

    Example: nnfemur export FemurFinetuneTrainer__nnUNetPlans__3d_fullres -o shared --to nnunet
    """
    from nnunet_femur.model_export import export as run
    from nnunet_femur.progress import TerminalProgress

    done = run(
        model,
        output,
        to=to,
        folds=tuple(fold or ()),
        checkpoint=checkpoint,
        device=device,
        scores=scores,
        ct=ct,
        overwrite=overwrite,
        progress=TerminalProgress(),
    )
    for file in done.files:
        typer.echo(done.folder / file)
    parity = done.parity
    typer.echo(f"Parity check: {parity.differing_voxels} of {parity.femur_voxels} voxels of the femur differ.")
    if not parity.femur_voxels:
        typer.echo("No femur was found in the check's CT. Give one that shows a femur with --ct.", err=True)
