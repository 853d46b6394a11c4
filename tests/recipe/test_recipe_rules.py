"""Combinations that cannot be trained, worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from nnunet_femur.recipe.hyperparameters import FinetuneRecipe, Recipe, SliceRecipe, ThreePlaneRecipe
from nnunet_femur.recipe.recipe_rules import problem_of_heads, problem_of_passes, problems_of_recipe


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (Recipe(), []),
        (Recipe(foreground_fraction=0.0, iterations_per_epoch=None), []),
        (FinetuneRecipe(foreground_fraction=0.0), []),
        (FinetuneRecipe(trained_layers="adapters"), []),
        (FinetuneRecipe(trained_layers="decoder", average_decay=0.99), []),
        (FinetuneRecipe(trained_layers="adapters", average_decay=0.99), ["trained_layers"]),
        (SliceRecipe(), []),
        (ThreePlaneRecipe(), []),
        (SliceRecipe(foreground_fraction=0.0, iterations_per_epoch=5), []),
        (SliceRecipe(foreground_fraction=0.0), ["foreground_fraction"]),
        (SliceRecipe(planes=("axial", "axial")), ["planes"]),
        (SliceRecipe(planes=("axial", "axial"), foreground_fraction=0.0), ["foreground_fraction", "planes"]),
    ],
)
def test_problems_of_recipe(recipe: Recipe, expected: list[str]) -> None:
    assert [problem.split()[0] for problem in problems_of_recipe(recipe)] == expected


def test_problem_of_heads() -> None:
    assert problem_of_heads(SliceRecipe(foreground_fraction=0.1)) is None
    assert problem_of_heads(SliceRecipe(foreground_fraction=0.0)) is not None


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({}, False),
        ({"slices": 0}, True),
        ({"ranks": 5}, False),
        ({"ranks": 6}, True),
        ({"smallest_batch": 1}, True),
        ({"smallest_batch": 1, "one_value_per_channel": False}, False),
        ({"smallest_batch": 2}, False),
    ],
)
def test_problem_of_passes(changes: dict[str, Any], refused: bool) -> None:
    given: dict[str, Any] = {"slices": 40, "ranks": 1, "smallest_batch": 5, "one_value_per_channel": True} | changes
    assert (problem_of_passes(**given) is not None) == refused
