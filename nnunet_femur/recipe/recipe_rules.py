"""Combinations of hyperparameters, data and trainers that cannot be trained; each is refused before any work."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunetv2.utilities.label_handling.label_handling import LabelManager

    from nnunet_femur.recipe.hyperparameters import Recipe, SliceRecipe


def problems_of_recipe(recipe: Recipe) -> Iterator[str]:
    """Yield the problems of values that are valid alone but not together.

    Only trainings are checked. A trained network is used for prediction even if its recipe would be refused today.

    Args:
        recipe: The recipe.

    Yields:
        The problem as a clause, which :func:`~nnunet_femur.recipe.hyperparameters.refuse` completes.
    """
    from nnunet_femur.recipe.hyperparameters import FinetuneRecipe, SliceRecipe

    if isinstance(recipe, FinetuneRecipe) and recipe.trained_layers == "adapters" and recipe.average_decay > 0:
        yield (
            f"trained_layers is adapters and average_decay is {recipe.average_decay:g}, but the product of two "
            "averages is not the average of the products. Set average_decay to 0, or trained_layers to all or decoder"
        )
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
    """Return the reason why a recipe cannot be trained on a dataset's labels; None if it can.

    Args:
        recipe: The recipe.
        labels: nnU-Net's labels of the dataset.
        slices: The trainer trains on slices; their loader supports neither regions nor an ignore label.
    """
    if slices and labels.has_regions:
        return "has regions, which the trainers of slices do not support. Train FemurScratchTrainer"
    if slices and labels.has_ignore_label:
        return "has an ignore label, which the trainers of slices do not support. Train FemurScratchTrainer"
    if recipe.loss == "cross_entropy" and labels.has_regions:
        return "has regions, which overlap; cross-entropy needs one label a voxel. Set loss to dice_cross_entropy"
    return None


def problem_of_heads(recipe: SliceRecipe) -> str | None:
    """Return the reason why the trainers of the femur's ends cannot use a recipe; None if they can."""
    if recipe.foreground_fraction == 0:
        return (
            "foreground_fraction is 0, so no batch would contain a slice of the femur's ends. Set a value above 0 "
            "for the FemurHead...Trainer"
        )
    return None


def problem_of_passes(*, slices: int, ranks: int, smallest_batch: int, one_value_per_channel: bool) -> str | None:
    """Return the reason why the slices with femur cannot be distributed over batches; None if they can.

    Args:
        slices: Number of slices with femur in the training cases.
        ranks: Number of processes that train together.
        smallest_batch: Number of slices in the smallest batch of all processes together.
        one_value_per_channel: The network's deepest features are one value per slice and channel. Batch normalisation
            cannot normalise these in a batch of one slice.
    """
    if not slices:
        return "the training cases contain no femur. Check the masks of this fold"
    if smallest_batch < ranks:
        return f"a batch of {smallest_batch} slices cannot be distributed over {ranks} GPUs. Train with fewer GPUs"
    if smallest_batch == 1 and one_value_per_channel:
        return (
            "a batch would contain one slice, but the batch normalisation of this network needs two or more. "
            "Set batch_size to 3 or more"
        )
    return None
