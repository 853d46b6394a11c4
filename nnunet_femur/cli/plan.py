"""``nnfemur plan``: plans, preprocessing, folds and recipe."""

from __future__ import annotations

from typing import Annotated

import typer


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
