"""``nnfemur convert``: convert hospital files into a raw dataset of nnU-Net."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnunet_femur.cli.options import Part  # noqa: TC001 - typer reads the annotations

_OF_UPDATES = ("update", "corrected", "patients", "jobs", "report", "qc", "dry_run")
"""Parameters that --update takes; the others are those of the dataset."""


def convert(
    context: typer.Context,
    source: Annotated[
        Path | None,
        typer.Argument(help="Folder with CTs and masks, or a table of them (.csv).", show_default=False),
    ] = None,
    dataset_id: Annotated[
        int | None,
        typer.Option("--dataset-id", "-d", min=1, max=999, help="Number of the dataset.", show_default=False),
    ] = None,
    name: Annotated[str, typer.Option(help="Part of the dataset's name after its number.")] = "Femur",
    seed: Annotated[int, typer.Option(help="Seed of the random split.")] = 0,
    layout: Annotated[
        str, typer.Option(help="Arrangement of the files: pairs, totalsegmentator, csv, or auto to detect it.")
    ] = "auto",
    images_folder: Annotated[str, typer.Option(help="Folder with the CTs (pairs).")] = "Images",
    masks_folder: Annotated[str, typer.Option(help="Folder with the masks (pairs).")] = "GoldStandard",
    id_pattern: Annotated[
        str | None,
        typer.Option(
            help="Regular expression of the id at the start of a file name (pairs); the groups `patient` and `side` (L "
            "or R) are optional.",
            show_default="a letter and a number, as in L442",
        ),
    ] = None,
    segment: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of the segment that is femur (.seg.nrrd, DICOM SEG, RTSTRUCT); may be repeated to join several.",
            show_default="the only segment, or those called femur, with sides and parts of the bone",
        ),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Values of a mask that are femur, such as 1,2.", show_default="the only value")
    ] = None,
    padding_hu: Annotated[int, typer.Option(help="Value that replaces padding, in HU.")] = -1000,
    keep_padding: Annotated[bool, typer.Option("--keep-padding", help="Keep the values of the padding.")] = False,  # noqa: FBT002
    min_volume_ml: Annotated[
        float, typer.Option(min=0, help="Minimum volume of each femur of a subject, in ml (totalsegmentator).")
    ] = 50.0,
    trust: Annotated[
        str,
        typer.Option(
            help="For a mask with as many voxels as its CT, but another grid: 'voxels' places it on the CT voxel by "
            "voxel, 'headers' resamples it by its header.",
            show_default="an error",
        ),
    ] = "",
    skip_bad: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--skip-bad", help="Leave out cases with errors and list them; always on in the layout totalsegmentator."
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            help="File for all findings (.csv).", show_default="findings_DatasetNNN_Name.csv, only if there are errors"
        ),
    ] = None,
    patients: Annotated[
        Path | None,
        typer.Option(
            help="Table with the columns case and patient (.csv).", show_default="the case id determines the patient"
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="Proportions of training, validation and test set; 60/20/20 is the same as 24/8/8.")
    ] = "24/8/8",
    test_ids: Annotated[
        Path | None,
        typer.Option(help="File with the cases of the test set, one per line.", show_default="a part of the split"),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Number of processes; each has one case in memory at a time.")
    ] = 1,
    qc: Annotated[  # noqa: FBT002
        bool, typer.Option("--qc", help="Draw every case with its mask, into the folder qc of the dataset.")
    ] = False,
    shard: Part = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, but write nothing.")] = False,  # noqa: FBT002
    update: Annotated[
        int | None,
        typer.Option(
            min=1, max=999, help="Number of a dataset to add cases to, in place of SOURCE.", show_default=False
        ),
    ] = None,
    corrected: Annotated[
        Path | None,
        typer.Option(
            help="With --update: folder of predicted masks; those accepted or corrected in nnfemur review are added.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Convert a folder of CTs and masks into a raw dataset of nnU-Net, with a split by patient and five folds.

    Example: nnfemur convert ~/source --dataset-id 1 --jobs 2 --qc

    Add corrected predictions: nnfemur convert --update 1 --corrected out
    """
    from nnunet_femur.conversion import convert as convert_source
    from nnunet_femur.conversion import draw_dataset
    from nnunet_femur.conversion.options import ID_PATTERN
    from nnunet_femur.imaging.labels import parse_labels
    from nnunet_femur.progress import TerminalProgress

    if update is not None or corrected is not None:
        number, folder = _required_update(context, update, corrected)
        _update(number, folder, patients=patients, jobs=jobs, report=report, qc=qc, dry_run=dry_run)
        return
    if source is None or dataset_id is None:
        missing = "SOURCE" if source is None else "--dataset-id"
        msg = "is missing. Give SOURCE and --dataset-id, or --update and --corrected."
        raise typer.BadParameter(msg, param_hint=missing)
    result = convert_source(
        source,
        dataset_id=dataset_id,
        name=name,
        seed=seed,
        split=split,
        patients=patients,
        test_ids=test_ids,
        jobs=jobs,
        report=report,
        dry_run=dry_run,
        shard=shard,
        progress=TerminalProgress(),
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
    result.print()
    if dry_run:
        raise typer.Exit(0 if result.usable else 1)
    if shard is not None:
        return
    if qc:
        typer.echo(draw_dataset(result.folder, jobs=jobs, progress=TerminalProgress()))
    typer.echo(result.folder)


def _required_update(context: typer.Context, update: int | None, corrected: Path | None) -> tuple[int, Path]:
    """Return the two options of an update, and refuse those that do not go with them."""
    if update is None or corrected is None:
        missing = "--update" if update is None else "--corrected"
        msg = "is missing. Give the number of the dataset with --update and the folder of the masks with --corrected."
        raise typer.BadParameter(msg, param_hint=missing)
    for name in context.params:
        given = context.get_parameter_source(name)
        if name not in _OF_UPDATES and given is not None and given.name == "COMMANDLINE":
            msg = "does not go with --update, which keeps the options of the dataset. Remove it."
            raise typer.BadParameter(msg, param_hint=name.replace("_", "-"))
    return update, corrected


def _update(
    dataset_id: int,
    folder: Path,
    *,
    patients: Path | None,
    jobs: int,
    report: Path | None,
    qc: bool,
    dry_run: bool,
) -> None:
    from nnunet_femur.conversion import draw_dataset
    from nnunet_femur.findings import write_findings
    from nnunet_femur.progress import TerminalProgress
    from nnunet_femur.reviewing import add_corrected, waiting_cases

    result = add_corrected(
        folder, dataset_id=dataset_id, patients=patients, jobs=jobs, dry_run=dry_run, progress=TerminalProgress()
    )
    if report is not None:
        write_findings(result.findings, report)
    result.print()
    for case, reason in waiting_cases(folder).items():
        typer.echo(f"{case}: not used. {reason}")
    if result.left_out:
        typer.echo(f"Left out: {', '.join(result.left_out)}.")
    if qc and not dry_run:
        typer.echo(draw_dataset(result.folder, jobs=jobs, progress=TerminalProgress()))
    typer.echo(result.folder)
    if result.left_out:
        raise typer.Exit(1)
