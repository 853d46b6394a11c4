"""Recipes: the study's and nnU-Net's defaults, and what the plans change of them."""

from __future__ import annotations

from typing import Any

import pytest

from nnunet_femur.errors import InputError
from nnunet_femur.training.recipe import Recipe, SliceRecipe


def _configuration(**recipe: Any) -> dict[str, Any]:
    return {"femur_recipe": recipe}


class TestDefaults:
    def test_slices_follow_the_study(self) -> None:
        recipe = SliceRecipe.from_configuration({}, "FemurUnetResNet34Trainer")
        assert (recipe.optimizer, recipe.learning_rate, recipe.epochs) == ("Adam", 3e-4, 5)
        assert (recipe.batch_size, recipe.slice_size, recipe.loss) == (16, (256, 256), "cross_entropy")
        assert recipe.planes == ("axial", "coronal", "sagittal")
        assert recipe.encoder_weights == "imagenet"
        assert not recipe.augment
        assert recipe.iterations_per_epoch is None
        assert recipe.keep == "lowest_loss"
        assert recipe.foreground_fraction == 1
        assert recipe.head_slices == 20

    def test_volumes_follow_nnunet(self) -> None:
        recipe = Recipe.from_configuration({}, "FemurScratchTrainer")
        assert (recipe.optimizer, recipe.learning_rate, recipe.weight_decay) == ("SGD", 1e-2, 3e-5)
        assert (recipe.epochs, recipe.iterations_per_epoch, recipe.validation_iterations) == (1000, 250, 50)


class TestPlans:
    def test_the_nearest_wins(self) -> None:
        plans = _configuration(epochs=1, volume={"epochs": 2}, FemurScratchTrainer={"epochs": 3})
        assert Recipe.from_configuration(plans, "FemurScratchTrainer").epochs == 3
        assert Recipe.from_configuration(plans, "FemurFinetuneTrainer").epochs == 2
        assert SliceRecipe.from_configuration(plans, "FemurUnetResNet34Trainer").epochs == 1

    def test_json_lists_become_tuples(self) -> None:
        recipe = SliceRecipe.from_configuration(
            _configuration(slice={"slice_size": [64, 32], "planes": ["axial"]}), "X"
        )
        assert (recipe.slice_size, recipe.planes) == ((64, 32), ("axial",))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"epoch": 3}, "X does not know epoch"),
            ({"epochs": 0}, "epochs is 0"),
            ({"learning_rate": -1.0}, "learning_rate is -1.0"),
            ({"optimizer": "Adamw"}, "optimizer is 'Adamw'"),
            ({"loss": "dice"}, "loss is 'dice'"),
            ({"schedule": "cosine"}, "schedule is 'cosine'"),
            ({"foreground_fraction": 1.5}, "foreground_fraction is 1.5"),
            ({"slice_size": [64]}, "slice_size is"),
            ({"planes": ["oblique"]}, "planes is"),
            ({"planes": []}, "planes is"),
            ({"batch_size": 0}, "batch_size is 0"),
            ({"plane_weights": [1, 1]}, "plane_weights is"),
            ({"plane_weights": [0, 0, 0]}, "plane_weights is"),
            ({"head_slices": 0}, "head_slices is 0"),
            ({"neighbours": -1}, "neighbours is -1"),
            ({"slice_spacing_mm": 0}, "slice_spacing_mm is 0"),
            ({"slice_spacing_mm": "coarse"}, "slice_spacing_mm is 'coarse'"),
            ({"keep": "best"}, "keep is 'best'"),
        ],
    )
    def test_refuses_what_cannot_be(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError, match=message):
            SliceRecipe.from_configuration(_configuration(**changes), "X")
