"""The commands `nnfemur` and `nnfemur-compare`: a thin layer over functions that are useful in a notebook."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnunet_femur.errors import FemurError
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(
    help="Segment the femur in CT with nnU-Net and TotalSegmentator, from hospital files to a report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:  # noqa: FBT001
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where everything is written; run again to resume.")] = Path(
        "nnfemur-demo"
    ),
    cases: Annotated[int, typer.Option(min=6, help="Number of phantoms.")] = 12,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of both trainers. [those of the preset]")] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Iterations in an epoch. [those of the preset]")] = None,
) -> None:
    """Run the whole way once on phantoms: convert, plan, train a 2D and a 3D method, predict, compare.

    Example: nnfemur demo
    """
    from nnunet_femur.demo import DemoSize, run_demo

    run_demo(folder, size=DemoSize(cases=cases, epochs=epochs, iterations=iterations))


@app.command()
def env(
    folder: Annotated[Path, typer.Argument(help="The folder that holds, or will hold, nnU-Net's three.")] = Path(),
) -> None:
    """Print the shell lines that point nnU-Net at FOLDER and at this package's trainers.

    Example: eval "$(nnfemur env ~/femur)"
    """
    from nnunet_femur.environment import export_lines

    for line in export_lines(folder):
        typer.echo(line)


@app.command()
def phantoms(
    folder: Annotated[Path, typer.Argument(help="Where Images/ and GoldStandard/ are written.")],
    cases: Annotated[int, typer.Option(min=1, help="Number of cases.")] = 12,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 0,
    size: Annotated[tuple[int, int, int], typer.Option(help="Voxels along z, y, x.", metavar="Z Y X")] = (
        96,
        64,
        64,
    ),
    spacing: Annotated[
        tuple[float, float, float], typer.Option(help="Voxel spacing along z, y, x in mm.", metavar="Z Y X")
    ] = (5.0, 3.0, 3.0),
) -> None:
    """Write femur phantoms with exact masks, laid out as a hospital's pairs of NRRD files.

    Example: nnfemur phantoms drop --cases 12
    """
    from nnunet_femur.phantoms import write_phantoms
    from nnunet_femur.progress import bar

    write_phantoms(folder, cases=cases, seed=seed, size_zyx=size, spacing_mm_zyx=spacing, track=bar)


@app.command()
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
            "those named femur]"
        ),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Values of a mask that are femur, as 1,2. [1 and 2, or the only one]")
    ] = None,
    padding_hu: Annotated[int, typer.Option(help="What padding (-1024, -2000, -3024) becomes, in HU.")] = -1000,
    keep_padding: Annotated[bool, typer.Option("--keep-padding", help="Leave the padding as it is.")] = False,  # noqa: FBT002
    min_volume_ml: Annotated[
        float, typer.Option(min=0, help="Least volume of each femur of a subject (totalsegmentator).")
    ] = 50.0,
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
    from nnunet_femur.environment import require
    from nnunet_femur.intake import Conversion
    from nnunet_femur.intake.options import ID_PATTERN, IntakeOptions, parse_labels
    from nnunet_femur.intake.qc import draw_dataset
    from nnunet_femur.intake.splits import parse_parts
    from nnunet_femur.progress import bar

    intake = IntakeOptions(
        layout=layout,
        images_folder=images_folder,
        masks_folder=masks_folder,
        id_pattern=id_pattern or ID_PATTERN,
        segments=tuple(segment or ()),
        labels=parse_labels(labels),
        padding_hu=None if keep_padding else padding_hu,
        min_volume_ml=min_volume_ml,
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
    )
    if dry_run:
        outcome = conversion.preview(track=bar)
        outcome.print()
        raise typer.Exit(0 if outcome.usable else 1)
    outcome = conversion.run(track=bar)
    outcome.print()
    if qc:
        typer.echo(draw_dataset(outcome.folder, jobs=jobs, track=bar))
    typer.echo(outcome.folder)


@app.command()
def plan(
    dataset_id: Annotated[int, typer.Option("--dataset-id", "-d", min=1, max=999, help="nnU-Net's dataset number.")],
    preset: Annotated[
        str, typer.Option(help="'default', or 'small': few features and a small patch, for CPUs and demos.")
    ] = "default",
    configuration: Annotated[
        list[str] | None,
        typer.Option("--configuration", "-c", help="Configuration to preprocess; may be repeated. [2d, 3d_fullres]"),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of every trainer.")] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Iterations in an epoch of every trainer.")] = None,
    pretrained: Annotated[  # noqa: FBT002
        bool, typer.Option(help="Whether encoders of 2D networks start from ImageNet weights.")
    ] = True,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes that preprocess.")] = 2,
) -> None:
    """Fingerprint, plan and preprocess a dataset for nnU-Net, with its folds checked and the recipe in the plans.

    Example: nnfemur plan -d 1
    """
    from nnunet_femur.planning import plan_dataset

    folder = plan_dataset(
        dataset_id,
        preset=preset,
        configurations=tuple(configuration or ("2d", "3d_fullres")),
        epochs=epochs,
        iterations=iterations,
        pretrained=pretrained,
        jobs=jobs,
    )
    typer.echo(folder)


@app.command()
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
    in_slices: Annotated[  # noqa: FBT002
        bool, typer.Option("--in-slices", help="The method works in slices, which the study's protocol treats apart.")
    ] = False,
) -> None:
    """Print every score of a predicted mask, or of a folder of them, against the truth.

    Example: nnfemur score prediction.nrrd truth.nrrd
    """
    from nnunet_femur.comparison.single import score_files
    from nnunet_femur.progress import bar

    outcome = score_files(
        prediction, truth, policy=empty_masks, slice_surfaces=slice_surfaces, in_slices=in_slices, track=bar
    )
    outcome.write(form, output)


def _named_folder(text: str) -> tuple[str, Path]:
    name, given, folder = text.partition("=")
    if not (name and given and folder):
        msg = f"{text!r} is not NAME=FOLDER"
        raise typer.BadParameter(msg)
    return name, Path(folder)


def compare(
    results: Annotated[Path | None, typer.Argument(help="nnU-Net's results folder, or a part of it.")] = None,
    raw: Annotated[Path | None, typer.Option(help="nnU-Net's raw folder with the truth. [$nnUNet_raw]")] = None,
    truth: Annotated[Path | None, typer.Option(help="A folder of true masks, in place of the raw dataset's.")] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FOLDER", help="A folder of further predictions and its name; may be repeated."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Report folder. [RESULTS/comparison]")] = None,
    intersect: Annotated[  # noqa: FBT002
        bool, typer.Option("--intersect", help="Go on with the cases that all methods have.")
    ] = False,
    reference: Annotated[
        str | None, typer.Option(help="Published figures to print beside ours: 'paper' for those of the study.")
    ] = None,
    empty_masks: Annotated[
        str, typer.Option("--empty-masks", help="What an empty mask scores: 'strict', 'formula' or 'brats'.")
    ] = "strict",
    test: Annotated[str, typer.Option(help="Paired test: 'wilcoxon' or 'permutation'.")] = "wilcoxon",
    slice_surfaces: Annotated[  # noqa: FBT002
        bool, typer.Option("--slice-surfaces", help="Give slices surface scores too, half a second per case.")
    ] = False,
) -> None:
    """Score every method's predictions against the truth and write scores.csv, tables and a report.

    Example: nnfemur-compare results/
    """
    from nnunet_femur.comparison import compare as run
    from nnunet_femur.progress import bar

    named = [_named_folder(text) for text in method or ()]
    if len(dict(named)) < len(named):
        msg = "--method gives a name twice"
        raise typer.BadParameter(msg)
    if test not in ("wilcoxon", "permutation"):
        msg = f"--test {test}: choose wilcoxon or permutation"
        raise typer.BadParameter(msg)
    outcome = run(
        results,
        raw=raw,
        truth=truth,
        methods=dict(named),
        output=output,
        intersect=intersect,
        reference=reference,
        policy=empty_masks,
        test="permutation" if test == "permutation" else "wilcoxon",
        slice_surfaces=slice_surfaces,
        track=bar,
    )
    outcome.print()
    typer.echo(outcome.report)
    if not (outcome.complete or intersect):
        raise typer.Exit(1)


app.command("compare")(compare)


def _run(command: Callable[[], object]) -> None:
    try:
        command()
    except FemurError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)


def main() -> None:
    """Run `nnfemur`; a mendable problem ends it with status 1 and one message."""
    _run(app)


def compare_main() -> None:
    """Run `nnfemur-compare`, which is `nnfemur compare` by the name users type most."""
    _run(lambda: typer.run(compare))


if __name__ == "__main__":
    main()
