"""``nnfemur convert``: from hospital files to an nnU-Net dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def convert(
    source: Annotated[Path, typer.Argument(help="Folder of CTs and masks, or a table of them (.csv).")],
    dataset_id: Annotated[int, typer.Option("--dataset-id", "-d", min=1, max=999, help="nnU-Net's dataset number.")],
    name: Annotated[str, typer.Option(help="The part of the dataset's name after its number.")] = "Femur",
    seed: Annotated[int, typer.Option(help="Seed of the split into patients.")] = 0,
    layout: Annotated[
        str, typer.Option(help="How the files lie: pairs, totalsegmentator, csv, or auto, which looks.")
    ] = "auto",
    images_folder: Annotated[str, typer.Option(help="Folder with the CTs (pairs).")] = "Images",
    masks_folder: Annotated[str, typer.Option(help="Folder with the masks (pairs).")] = "GoldStandard",
    id_pattern: Annotated[
        str | None,
        typer.Option(
            help="Regular expression of an id at the start of a file's name (pairs); groups `patient` and `side` (L "
            "or R) are optional. [a letter and a number, as in L442]"
        ),
    ] = None,
    segment: Annotated[
        list[str] | None,
        typer.Option(
            help="Segment of a 3D Slicer segmentation that is femur; repeat it to join several. [the only one, or "
            "those called femur, sides and parts of the bone included]"
        ),
    ] = None,
    labels: Annotated[str | None, typer.Option(help="Values of a mask that are femur, as 1,2. [the only one]")] = None,
    padding_hu: Annotated[int, typer.Option(help="What padding becomes, in HU.")] = -1000,
    keep_padding: Annotated[bool, typer.Option("--keep-padding", help="Leave the padding as it is.")] = False,  # noqa: FBT002
    min_volume_ml: Annotated[
        float, typer.Option(min=0, help="Least volume of each femur of a subject (totalsegmentator).")
    ] = 50.0,
    trust: Annotated[
        str,
        typer.Option(
            help="For a mask with as many voxels as its CT on another grid: 'voxels' lays it on the CT voxel by "
            "voxel, 'headers' resamples it by its header. [an error]"
        ),
    ] = "",
    skip_bad: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--skip-bad", help="Leave out cases with errors and name them. [always with the layout totalsegmentator]"
        ),
    ] = False,
    report: Annotated[Path | None, typer.Option(help="File for all findings (.csv).")] = None,
    patients: Annotated[
        Path | None, typer.Option(help="Table with columns case and patient (.csv). [patients are read from ids]")
    ] = None,
    split: Annotated[
        str, typer.Option(help="Training, validation and test set in proportion; 60/20/20 is the same.")
    ] = "24/8/8",
    test_ids: Annotated[
        Path | None, typer.Option(help="File that names the cases of the test set, one a line. [dealt by --split]")
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Processes; each holds one case in memory at a time.")
    ] = 1,
    qc: Annotated[bool, typer.Option("--qc", help="Draw every case and its mask, in folder qc.")] = False,  # noqa: FBT002
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, write nothing.")] = False,  # noqa: FBT002
) -> None:
    """Turn a hospital folder into an nnU-Net dataset with a split by patient and five stratified folds.

    Example: nnfemur convert ~/drop --dataset-id 1 --jobs 2 --qc
    """
    from nnunet_femur.conversion import Conversion
    from nnunet_femur.conversion.options import ID_PATTERN, IntakeOptions
    from nnunet_femur.conversion.qc import draw_dataset
    from nnunet_femur.conversion.splits import parse_parts
    from nnunet_femur.dataset.environment import require
    from nnunet_femur.imaging.labels import parse_labels
    from nnunet_femur.progress import TerminalProgress

    intake = IntakeOptions(
        layout=layout,
        images_folder=images_folder,
        masks_folder=masks_folder,
        id_pattern=id_pattern or ID_PATTERN,
        segments=tuple(segment or ()),
        labels=parse_labels(labels),
        padding_hu=None if keep_padding else padding_hu,
        min_volume_ml=min_volume_ml,
        trust=trust,
        skip_bad=skip_bad,
    )
    conversion = Conversion(
        source=source,
        dataset_id=dataset_id,
        raw_folder=require("nnUNet_raw", create=not dry_run),
        name=name,
        seed=seed,
        intake=intake,
        parts=parse_parts(split),
        patients=patients,
        test_ids=test_ids,
        jobs=jobs,
        report=report,
    )
    if dry_run:
        outcome = conversion.preview(progress=TerminalProgress())
        outcome.print()
        raise typer.Exit(0 if outcome.usable else 1)
    outcome = conversion.run(progress=TerminalProgress())
    outcome.print()
    if qc:
        typer.echo(draw_dataset(outcome.folder, jobs=jobs, progress=TerminalProgress()))
    typer.echo(outcome.folder)
