"""Recipes from the plans of a trained model."""

import json

import pytest

from nnunet_femur.comparison.planned_recipes import planned_recipe, resolved

PLANS = {
    "configurations": {
        "3d_fullres": {"patch_size": [64, 64, 64], "femur_recipe": {"epochs": 7, "slice": {"batch_size": 4}}},
        "small": {"inherits_from": "3d_fullres", "patch_size": [32, 32, 32]},
        "endless": {"inherits_from": "endless"},
    }
}


def test_a_configuration_inherits():
    small = resolved(PLANS, "small")
    assert small["patch_size"] == [32, 32, 32]
    assert small["femur_recipe"]["epochs"] == 7
    assert "inherits_from" not in small
    assert resolved(PLANS, "endless") == {}
    assert resolved({}, "small") == {}


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ("FemurUnetResNet34Trainer", (7, "cross_entropy", 4)),
        ("FemurScratchTrainer", (7, "dice_cross_entropy", None)),
        ("nnUNetTrainer", (None, None, None)),
    ],
)
def test_defaults_and_plans(tmp_path, trainer, expected):
    folder = tmp_path / f"{trainer}__nnUNetPlans__small"
    folder.mkdir()
    assert planned_recipe(folder) == {}
    (folder / "plans.json").write_text(json.dumps(PLANS))
    recipe = planned_recipe(folder)
    assert (recipe.get("epochs"), recipe.get("loss"), recipe.get("batch_size")) == expected


def test_an_invalid_recipe_is_not_known(tmp_path):
    folder = tmp_path / "FemurScratchTrainer__nnUNetPlans__3d_fullres"
    folder.mkdir()
    (folder / "plans.json").write_text(json.dumps({"configurations": {"3d_fullres": {"femur_recipe": {"epochs": 0}}}}))
    assert planned_recipe(folder) == {}
