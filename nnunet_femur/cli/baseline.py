"""``nnfemur baseline``: TotalSegmentator, the method that all others are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnunet_femur.cli.options import AnyValues, Device, Part  # noqa: TC001 - typer reads the annotations


def baseline(
    ct: Annotated[
        Path | None,
        typer.Option("--input", "-i", help="CT: a volume in any supported format, or a folder of DICOM slices."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Mask to write (.nrrd, .nii.gz, .nii, .mha, .seg.dcm, .rtstruct.dcm)."),
    ] = None,
    form: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="Also write the mask in this format, with the name of --output: 'nrrd', 'seg.nrrd' (3D Slicer), "
            "'nii.gz', or for DICOM series 'dicom-seg' or 'rtstruct'; may be repeated.",
        ),
    ] = None,
    dataset_id: Annotated[
        int | None,
        typer.Option("--dataset-id", "-d", min=1, max=999, help="Segment all cases of this dataset instead."),
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Use the 3 mm model instead of the 1.5 mm model.")] = False,  # noqa: FBT002
    sides: Annotated[bool, typer.Option("--sides", help="Write the left femur as 1 and the right one as 2.")] = False,  # noqa: FBT002
    robust_crop: Annotated[  # noqa: FBT002
        bool, typer.Option("--robust-crop", help="Locate the femur at 3 mm instead of 6 mm; slower.")
    ] = False,
    any_values: AnyValues = False,  # noqa: FBT002
    device: Device = "auto",
    shard: Part = None,
) -> None:
    """Segment the femur with TotalSegmentator (femur_left and femur_right), on the CT's own grid.

    Example: nnfemur baseline -i ct.nrrd -o femur.nrrd

    A whole dataset: nnfemur baseline -d 1

    --device also accepts TotalSegmentator's names: gpu, gpu:1.
    """
    from nnunet_femur import baselines
    from nnunet_femur.progress import TerminalProgress

    if (dataset_id is None) == (ct is None) or (ct is None) != (output is None):
        msg = "Give a CT and its mask (-i CT -o MASK), or a dataset (-d N)."
        raise typer.BadParameter(msg)
    settings = baselines.Settings(
        fast=fast, sides=sides, robust_crop=robust_crop, device=baselines.device_name(device), any_values=any_values
    )
    if dataset_id is not None and form:
        msg = "--format goes with one CT (-i CT -o MASK). Masks of a dataset have the format of its CTs."
        raise typer.BadParameter(msg)
    if shard is not None and dataset_id is None:
        msg = "--shard goes with a dataset (-d N)."
        raise typer.BadParameter(msg)
    if dataset_id is not None:
        typer.echo(baselines.run_on_dataset(dataset_id, settings, shard=shard, progress=TerminalProgress()))
    elif ct is not None and output is not None:
        masks = baselines.mask_paths(output, form or ())
        record = baselines.run_on_volume(ct, masks[0], settings, also=masks[1:], progress=TerminalProgress())
        for warning in baselines.recorded_warnings(record):
            typer.echo(f"warning: {ct}: {warning}", err=True)
        for mask in masks:
            typer.echo(mask)
