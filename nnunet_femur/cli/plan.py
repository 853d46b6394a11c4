"""``nnfemur plan``: plan and preprocess a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def plan(
    dataset_id: Annotated[int, typer.Option("--dataset-id", "-d", min=1, max=999, help="nnU-Net's dataset number.")],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help="'dataset': plans of nnU-Net's planner; 'totalsegmentator': plans of TotalSegmentator's femur model.",
        ),
    ] = "dataset",
    spacing: Annotated[
        str,
        typer.Option(
            help="With --from totalsegmentator: use the spacing of its model ('source') or of the dataset ('native')."
        ),
    ] = "source",
    fast: Annotated[bool, typer.Option("--fast", help="With --from totalsegmentator: use its 3 mm model.")] = False,  # noqa: FBT002
    preset: Annotated[
        str, typer.Option(help="Size of network and training: 'default', or 'small' for CPUs and demos.")
    ] = "default",
    planner: Annotated[
        str | None,
        typer.Option(
            help="Planner of nnU-Net: 'ResEncM', 'ResEncL', 'ResEncXL', a class name, or MODULE.CLASS. "
            "[default: nnU-Net's default planner]"
        ),
    ] = None,
    configuration: Annotated[
        list[str] | None,
        typer.Option(
            "--configuration", "-c", help="Configuration to preprocess; may be repeated. [default: 2d, 3d_fullres]"
        ),
    ] = None,
    plans_name: Annotated[
        str | None,
        typer.Option(
            help="Name of the plans (nnUNetv2_train -p); a dataset can have several. [default: that of the planner, "
            "nnUNetPlans without one]"
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of every trainer.")] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Iterations per epoch of every trainer.")] = None,
    pretrained: Annotated[  # noqa: FBT002
        bool, typer.Option(help="Start the encoders of 2D networks from ImageNet weights.")
    ] = True,
    recipe: Annotated[
        Path | None, typer.Option(help="File (.json, .yaml) with further hyperparameters; see docs/recipes.md.")
    ] = None,
    keep_plans: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Keep spacing, intensities, network and recipe of these plans; preprocess the dataset as it is now. "
            "[default: plan anew]",
        ),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Number of processes that preprocess.")] = 2,
) -> None:
    """Plan and preprocess a raw dataset, so that nnUNetv2_train can train on it.

    The folds of the dataset are checked, and the hyperparameters are written into the plans. With --from
    totalsegmentator, FemurFinetuneTrainer can start from TotalSegmentator's network.

    Example: nnfemur plan -d 1

    After nnfemur convert --update: nnfemur plan -d 1 --keep-plans nnUNetPlans --plans-name Round2
    """
    from nnunet_femur import planning

    planned = planning.plan(
        dataset_id,
        source=source,
        spacing=spacing,
        fast=fast,
        preset=preset,
        planner=planner,
        configurations=configuration,
        plans_name=plans_name,
        epochs=epochs,
        iterations=iterations,
        pretrained=pretrained,
        recipe=recipe,
        keep=keep_plans,
        jobs=jobs,
    )
    if planned.ceiling is not None:
        typer.echo(planned.ceiling)
    typer.echo(planned.folder)
