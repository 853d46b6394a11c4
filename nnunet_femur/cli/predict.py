"""``nnfemur predict``: a trained model on new CTs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
        typer.Option("--format", help="'nrrd', 'seg.nrrd' (3D Slicer) or 'nii.gz'; may be repeated. [nrrd]"),
    ] = None,
    stl: Annotated[bool, typer.Option("--stl", help="Write the bone's surface too, in mm, LPS.")] = False,  # noqa: FBT002
    fold: Annotated[
        list[str] | None, typer.Option("--fold", help="Fold to use; may be repeated. [all that are trained]")
    ] = None,
    uncertainty: Annotated[  # noqa: FBT002
        bool, typer.Option("--uncertainty", help="With several folds, write their standard deviation as a volume.")
    ] = False,
    largest_component: Annotated[  # noqa: FBT002
        bool, typer.Option("--largest-component", help="Keep only the largest piece.")
    ] = False,
    fill_holes: Annotated[bool, typer.Option("--fill-holes", help="Fill cavities.")] = False,  # noqa: FBT002
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Label of the model that is femur; may be repeated. [by name]")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="'auto', 'cpu', 'cuda' or 'mps'.")] = "auto",
    quick: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--quick", help="The same as --step-size 0.8 --crop-to-bone --half. Edges may differ."),
    ] = False,
    step_size: Annotated[
        float | None, typer.Option("--step-size", help="Step of the sliding window, 0 to 1. [0.5]")
    ] = None,
    mirror: Annotated[  # noqa: FBT002
        bool, typer.Option("--mirror/--no-mirror", help="Average over mirrored CTs, where the trainer allows it.")
    ] = True,
    crop_to_bone: Annotated[  # noqa: FBT002
        bool, typer.Option("--crop-to-bone", help="Faster: look only at the box around bone. Edges may differ.")
    ] = False,
    half: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--half", help="Faster: float16 on NVIDIA GPUs, bfloat16 on CPUs that have it. Edges may differ."),
    ] = False,
    any_values: Annotated[  # noqa: FBT002
        bool, typer.Option("--any-values", help="Segment volumes whose values are not HU too; the record notes it.")
    ] = False,
    checkpoint: Annotated[
        str, typer.Option("--checkpoint", help="Name of the checkpoint in each fold.")
    ] = "checkpoint_final.pth",
    overwrite: Annotated[  # noqa: FBT002
        bool, typer.Option("--overwrite", help="Predict again what an earlier run has done.")
    ] = False,
) -> None:
    """Segment the femur in new CTs with a trained model; the masks lie on the CTs' own grids.

    Example: nnfemur predict -i hospital/*.nrrd -m FemurFinetuneTrainer__nnUNetPlans__3d_fullres -o out --stl
    """
    from nnunet_femur.prediction import QUICK, Options
    from nnunet_femur.prediction import predict as run
    from nnunet_femur.prediction.terminal_output import bars, print_outcome

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
        any_values=any_values,
        **choices,
    )
    with bars() as watch:
        outcome = run(
            [*inputs, *(more or ())],
            model,
            output,
            options=options,
            folds=tuple(fold or ()),
            checkpoint=checkpoint,
            device=device,
            overwrite=overwrite,
            watch=watch,
        )
    print_outcome(outcome)
    if not outcome.complete:
        raise typer.Exit(1)
