"""Recipes: the defaults of the study and of nnU-Net, changes in the plans, and refusals."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from nnunet_femur.recipe.hyperparameters import FinetuneRecipe, Recipe, SliceRecipe
from nnunet_femur.recipe.recipe_checks import recipe_of_configuration
from tests.refusing import refused


def _configuration(**recipe: Any) -> dict[str, Any]:
    return {"femur_recipe": recipe}


class TestDefaults:
    def test_slices_follow_the_study(self) -> None:
        recipe = recipe_of_configuration(SliceRecipe, {}, "FemurUnetResNet34Trainer")
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
        recipe = recipe_of_configuration(Recipe, {}, "FemurScratchTrainer")
        assert (recipe.optimizer, recipe.learning_rate, recipe.weight_decay) == ("SGD", 1e-2, 3e-5)
        assert (recipe.epochs, recipe.iterations_per_epoch, recipe.validation_iterations) == (1000, 250, 50)


class TestPlans:
    def test_a_trainer_precedes_its_family_and_a_family_all(self) -> None:
        plans = _configuration(epochs=1, volume={"epochs": 2}, FemurScratchTrainer={"epochs": 3})
        assert recipe_of_configuration(Recipe, plans, "FemurScratchTrainer").epochs == 3
        assert recipe_of_configuration(Recipe, plans, "MyTrainer").epochs == 2
        assert recipe_of_configuration(SliceRecipe, plans, "FemurUnetResNet34Trainer").epochs == 1

    def test_shared_values_reach_the_trainers_that_have_them(self) -> None:
        plans = _configuration(batch_size=4, epochs=2)
        assert recipe_of_configuration(SliceRecipe, plans, "X").batch_size == 4
        assert recipe_of_configuration(Recipe, plans, "X").epochs == 2

    def test_json_lists_become_tuples(self) -> None:
        recipe = recipe_of_configuration(
            SliceRecipe, _configuration(slice={"slice_size": [64, 32], "planes": ["axial"], "plane_weights": [2]}), "X"
        )
        assert (recipe.slice_size, recipe.planes, recipe.plane_weights) == ((64, 32), ("axial",), (2,))

    def test_oblique_planes_and_learned_weights(self) -> None:
        planes = ["axial", "coronal-sagittal"]
        recipe = recipe_of_configuration(
            SliceRecipe, _configuration(slice={"planes": planes, "plane_weights": "validation"}), "X"
        )
        assert (recipe.planes, recipe.plane_weights) == (tuple(planes), "validation")

    def test_recipes_that_earlier_versions_wrote_are_read(self) -> None:
        """As `nnfemur plan --preset small --epochs 3 --iterations 2` of the previous version wrote it."""
        small = {
            "epochs": 3, "iterations_per_epoch": 2, "validation_iterations": 2, "optimizer": "Adam",
            "schedule": "poly", "loss": "dice_cross_entropy", "augment": False, "mirror": False,
            "checkpoint_every": 1, "seed": 0,
        }  # fmt: skip
        plans = _configuration(
            volume={**small, "learning_rate": 0.005},
            finetune={**small, "warmup_epochs": 1},
            slice={
                **small, "learning_rate": 0.001, "batch_size": 8, "slice_size": [64, 64],
                "foreground_fraction": 0.7, "encoder_weights": None,
            },
        )  # fmt: skip
        assert recipe_of_configuration(Recipe, plans, "FemurScratchTrainer").learning_rate == 0.005
        assert recipe_of_configuration(FinetuneRecipe, plans, "FemurFinetuneTrainer").warmup_epochs == 1
        assert recipe_of_configuration(SliceRecipe, plans, "FemurUnetResNet34Trainer").encoder_weights is None

    def test_the_file_and_the_place_in_it_are_named(self) -> None:
        plans = _configuration(epochs=0, slice={"keep": "best"}, X={"seed": -1})
        with refused("invalid-recipe", "plans.json", "epochs", "X.seed", "slice.keep"):
            recipe_of_configuration(SliceRecipe, plans, "X", where="plans.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": 3},
        {"epochs": 0},
        {"epochs": "20"},
        {"epochs": 20.0},
        {"epochs": True},
        {"epochs": None},
        {"seed": -1},
        {"seed": 2**31},
        {"iterations_per_epoch": 0},
        {"iterations_per_epoch": True},
        {"learning_rate": -1.0},
        {"learning_rate": 0},
        {"learning_rate": "3e-4"},
        {"learning_rate": True},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"weight_decay": -1e-5},
        {"optimizer": "Adamw"},
        {"loss": "dice"},
        {"schedule": "cosine"},
        {"mirror": "no"},
        {"augment": 1},
        {"foreground_fraction": 1.5},
        {"foreground_fraction": -0.1},
        {"slice_size": [64]},
        {"slice_size": [64, "64"]},
        {"slice_size": 64},
        {"planes": ["oblique"]},
        {"planes": []},
        {"batch_size": 0},
        {"plane_weights": [1, 1]},
        {"plane_weights": [0, 0, 0]},
        {"plane_weights": [1, 1, -1]},
        {"plane_weights": "learned"},
        {"planes": ["axial*coronal"]},
        {"encoder_weights": ""},
        {"head_slices": 0},
        {"neighbours": -1},
        {"slice_spacing_mm": 0},
        {"slice_spacing_mm": "coarse"},
        {"keep": "best"},
    ],
    ids=str,
)
def test_invalid_values_are_refused_by_name(changes: dict[str, Any]) -> None:
    (key,) = changes
    with refused("invalid-recipe", f": {key}: "):
        recipe_of_configuration(SliceRecipe, _configuration(**changes), "X")
    with pytest.raises(ValidationError):
        SliceRecipe(**changes)


@pytest.mark.parametrize(
    "changes", [{"average_decay": 1}, {"body_factor": 1.1}, {"layer_decay": -1}, {"warmup_epochs": -1}], ids=str
)
def test_invalid_values_of_finetuning(changes: dict[str, Any]) -> None:
    (key,) = changes
    with refused("invalid-recipe", f": {key}: "):
        recipe_of_configuration(FinetuneRecipe, _configuration(**changes), "X")


def test_recipes_of_users_may_have_further_hyperparameters() -> None:
    class MyRecipe(SliceRecipe):
        sharpness: float = 1.0

    plans = _configuration(MyTrainer={"sharpness": 2.0, "epochs": 7})
    assert recipe_of_configuration(MyRecipe, plans, "MyTrainer").sharpness == 2
    with refused("invalid-recipe", "MyTrainer.sharpness: "):
        recipe_of_configuration(MyRecipe, _configuration(MyTrainer={"sharpness": "2"}), "MyTrainer")
