"""``nnfemur predict``: a trained model on new CTs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnunet_femur.cli.options import AnyValues, Device, Part  # noqa: TC001 - typer reads the annotations

if TYPE_CHECKING:
    from nnunet_femur.prediction import PredictionResult


def predict(
    inputs: Annotated[
        list[Path],
        typer.Option("--input", "-i", metavar="CT...", help="CT files, folders of them, or folders of DICOM slices."),
    ],
    model: Annotated[
        Path, typer.Option("--model", "-m", help="Folder TRAINER__PLANS__CONFIGURATION, a fold in it, or a model zip.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")],
    more: Annotated[list[Path] | None, typer.Argument(metavar="[CT]...", help="Further CTs.", hidden=True)] = None,
    form: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="Format of the masks: 'nrrd', 'seg.nrrd' (3D Slicer), 'nii.gz', or for DICOM series 'dicom-seg' or "
            "'rtstruct'; may be repeated. [default: nrrd]",
        ),
    ] = None,
    stl: Annotated[bool, typer.Option("--stl", help="Write the surface of the bone as STL, too, in mm (LPS).")] = False,  # noqa: FBT002
    sides: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--sides", help="Write the left femur as 1 and the right one as 2 (unknown side: 3), and an STL of each."
        ),
    ] = False,
    fold: Annotated[
        list[str] | None, typer.Option("--fold", help="Fold to use; may be repeated. [default: all that are trained]")
    ] = None,
    uncertainty: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--uncertainty", help="Write the standard deviation over the folds as a volume; needs several folds."
        ),
    ] = False,
    largest_component: Annotated[  # noqa: FBT002
        bool, typer.Option("--largest-component", help="Keep only the largest piece of the mask.")
    ] = False,
    fill_holes: Annotated[bool, typer.Option("--fill-holes", help="Fill cavities of the mask.")] = False,  # noqa: FBT002
    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="Label of the model that is femur; may be repeated. [default: those named femur]"),
    ] = None,
    device: Device = "auto",
    quick: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--quick", help="Short for --step-size 0.8 --crop-to-bone --half. Edges may differ."),
    ] = False,
    step_size: Annotated[
        float | None,
        typer.Option(
            "--step-size",
            help="Step of the sliding window as a fraction of its size, above 0 and at most 1. [default: 0.5]",
        ),
    ] = None,
    mirror: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--mirror/--no-mirror",
            help="Average the predictions of the CT and of its mirror images, if the trainer allows it.",
        ),
    ] = True,
    exhaustive: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--exhaustive", help="Slower: compute the whole CT, instead of only what is within 25 mm of the femur."
        ),
    ] = False,
    crop_to_bone: Annotated[  # noqa: FBT002
        bool, typer.Option("--crop-to-bone", help="Faster: predict only the box around bone. Edges may differ.")
    ] = False,
    half: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--half", help="Faster: bfloat16 on CPUs that are fast in it, but not in float16. Edges may differ."
        ),
    ] = False,
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            help="Precision of the network: 'float32', 'float16', 'bfloat16', or 'auto': float16 on NVIDIA GPUs and on "
            "CPUs that are fast in it.",
        ),
    ] = "auto",
    backend: Annotated[
        str,
        typer.Option(
            "--backend", help="Library of the network: 'torch', 'openvino' (CPUs), or 'auto': the faster one installed."
        ),
    ] = "auto",
    any_values: AnyValues = False,  # noqa: FBT002
    checkpoint: Annotated[
        str, typer.Option("--checkpoint", help="File name of the checkpoint in each fold.")
    ] = "checkpoint_final.pth",
    overwrite: Annotated[  # noqa: FBT002
        bool, typer.Option("--overwrite", help="Predict all CTs again, also those that an earlier run has predicted.")
    ] = False,
    shard: Part = None,
) -> None:
    """Segment the femur in new CTs with a trained model; each mask has the grid of its CT.

    Example: nnfemur predict -i hospital/*.nrrd -m FemurFinetuneTrainer__nnUNetPlans__3d_fullres -o out --stl
    """
    from nnunet_femur.prediction import QUICK, Options
    from nnunet_femur.prediction import predict as run
    from nnunet_femur.progress import TerminalProgress

    asked = {"step_size": step_size, "crop_to_bone": crop_to_bone or None, "half": half or None}
    choices = (QUICK if quick else {}) | {name: value for name, value in asked.items() if value is not None}
    options = Options(
        formats=tuple(dict.fromkeys(form or ("nrrd",))),
        stl=stl,
        uncertainty=uncertainty,
        labels=tuple(label or ()),
        largest_component=largest_component,
        fill_holes=fill_holes,
        mirror=mirror,
        exhaustive=exhaustive,
        backend=backend,
        precision=precision,
        any_values=any_values,
        sides=sides,
        **choices,
    )
    result = run(
        [*inputs, *(more or ())],
        model,
        output,
        options=options,
        folds=tuple(fold or ()),
        checkpoint=checkpoint,
        device=device,
        overwrite=overwrite,
        shard=shard,
        progress=TerminalProgress(),
    )
    _print_table(result)
    if not result.complete:
        raise typer.Exit(1)


def _print_table(result: PredictionResult) -> None:
    """Print a row for each case, those to look at first at the top, and the folder of the masks."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table(box=None, pad_edge=False)
    ensemble = any(case.disagreement is not None for case in result.results)
    table.add_column("case", overflow="fold")
    table.add_column("side")
    for name in ("review score", "volume (ml)", "pieces", *(("disagreement",) if ensemble else ()), "time (s)"):
        table.add_column(name, justify="right")
    table.add_column("to check", overflow="fold")
    for case in result.for_review():
        numbers = ["-" if case.review_score is None else f"{case.review_score:.2f}"]
        numbers += ["-" if case.volume_ml is None else f"{case.volume_ml:.1f}", str(case.pieces or 0)]
        if ensemble:
            numbers.append("-" if case.disagreement is None else f"{case.disagreement:.3f}")
        seconds = "done before" if case.case in result.skipped else f"{case.seconds:.1f}"
        notes = f"[red]failed[/] {escape(case.error)}" if case.error else escape("; ".join(case.warnings))
        table.add_row(escape(case.case), case.side or "-", *numbers, seconds, notes)
    console.print(table)
    for note in result.notes:
        console.print(f"Note: {note}", highlight=False, markup=False)
    console.print(str(result.folder), highlight=False, soft_wrap=True)
