"""``nnfemur plan``: plans, preprocessing, folds and recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def plan(
    dataset_id: Annotated[int, typer.Option("--dataset-id", "-d", min=1, max=999, help="nnU-Net's dataset number.")],
    source: Annotated[
        str,
        typer.Option("--from", help="'dataset': nnU-Net's own plans; 'totalsegmentator': those of its femur network."),
    ] = "dataset",
    spacing: Annotated[
        str, typer.Option(help="With --from totalsegmentator: 'source', its spacing, or 'native', the dataset's.")
    ] = "source",
    fast: Annotated[bool, typer.Option("--fast", help="With --from totalsegmentator: its 3 mm model.")] = False,  # noqa: FBT002
    preset: Annotated[
        str, typer.Option(help="'default', or 'small': few features and a small patch, for CPUs and demos.")
    ] = "default",
    configuration: Annotated[
        list[str] | None,
        typer.Option("--configuration", "-c", help="Configuration to preprocess; may be repeated. [2d, 3d_fullres]"),
    ] = None,
    plans_name: Annotated[
        str, typer.Option(help="Name of the plans (nnUNetv2_train -p), for two plans of a dataset side by side.")
    ] = "nnUNetPlans",
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of every trainer.")] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Iterations in an epoch of every trainer.")] = None,
    pretrained: Annotated[  # noqa: FBT002
        bool, typer.Option(help="Whether encoders of 2D networks start from ImageNet weights.")
    ] = True,
    recipe: Annotated[
        Path | None, typer.Option(help="File (.json, .yaml) of further hyper-parameters, as in docs/recipes.md.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes that preprocess.")] = 2,
) -> None:
    """Fingerprint, plan and preprocess a dataset for nnU-Net, with its folds checked and the recipe in the plans.

    With --from totalsegmentator, trainings start where TotalSegmentator stands: nnUNetv2_train ... -tr
    FemurFinetuneTrainer.

    Example: nnfemur plan -d 1
    """
    from nnunet_femur.planning import ceiling_of, plan_dataset

    folder = plan_dataset(
        dataset_id,
        source=source,
        spacing=spacing,
        fast=fast,
        preset=preset,
        configurations=configuration,
        plans_name=plans_name,
        epochs=epochs,
        iterations=iterations,
        pretrained=pretrained,
        recipe=recipe,
        jobs=jobs,
    )
    ceiling = ceiling_of(folder, plans_name)
    if ceiling is not None:
        typer.echo(ceiling)
    typer.echo(folder)
