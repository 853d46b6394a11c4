"""Combinations of hyper-parameters, data and trainers that cannot be trained, each refused before any work."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunetv2.utilities.label_handling.label_handling import LabelManager

    from nnunet_femur.recipe.hyperparameters import Recipe, SliceRecipe


def problems_of_recipe(recipe: Recipe) -> Iterator[str]:
    """Values that are valid alone and impossible together, each as a clause that :func:`refuse` completes.

    For trainings only: a network that exists is predicted with, however its recipe would be judged today.
    """
    from nnunet_femur.recipe.hyperparameters import SliceRecipe

    if isinstance(recipe, SliceRecipe):
        if recipe.foreground_fraction == 0 and recipe.iterations_per_epoch is None:
            yield (
                "foreground_fraction is 0 and iterations_per_epoch is null, but an epoch without a number of "
                "iterations is one pass over the slices with femur. Set iterations_per_epoch, or a foreground_fraction "
                "above 0"
            )
        if len(set(recipe.planes)) != len(recipe.planes):
            yield f"planes is {recipe.planes}, but each plane must be named once"


def problem_of_labels(recipe: Recipe, labels: LabelManager, *, slices: bool) -> str | None:
    """Reason why a dataset's labels cannot be trained on by this recipe; None if they can.

    Args:
        recipe: The recipe.
        labels: nnU-Net's labels of the dataset.
        slices: Trains on slices, whose loader knows neither regions nor an ignore label.
    """
    if slices and labels.has_regions:
        return "has regions, which the trainers of slices do not support. Train FemurScratchTrainer"
    if slices and labels.has_ignore_label:
        return "has an ignore label, which the trainers of slices do not support. Train FemurScratchTrainer"
    if recipe.loss == "cross_entropy" and labels.has_regions:
        return "has regions, which overlap; cross-entropy needs one label a voxel. Set loss to dice_cross_entropy"
    return None


def problem_of_heads(recipe: SliceRecipe) -> str | None:
    """Reason why the trainers of the femur's ends cannot follow a recipe; None if they can."""
    if recipe.foreground_fraction == 0:
        return (
            "foreground_fraction is 0, so no batch would hold a slice of the femur's ends. Set a value above 0 for "
            "the trainers of heads"
        )
    return None


def problem_of_passes(*, slices: int, ranks: int, smallest_batch: int, one_value_per_channel: bool) -> str | None:
    """Reason why the slices that were found cannot be dealt out in batches; None if they can.

    Args:
        slices: Slices with femur among the training cases.
        ranks: Processes that train together.
        smallest_batch: Slices in the smallest batch of all processes together.
        one_value_per_channel: The network's deepest features are one value for each slice and channel, which batch
            normalisation cannot normalise in a batch of one slice.
    """
    if not slices:
        return "the training cases hold no femur. Check the masks of this fold"
    if smallest_batch < ranks:
        return f"a batch of {smallest_batch} slices cannot be dealt out to {ranks} GPUs. Train with fewer GPUs"
    if smallest_batch == 1 and one_value_per_channel:
        return (
            "a batch would hold one slice, but the batch normalisation of this network needs two or more. "
            "Set batch_size to 3 or more"
        )
    return None
