"""The schema of a study's file takes its recipes from the trainers' models."""

from __future__ import annotations

from typing import Any

import pytest

from nnunet_femur.study.schema import read_schema, recipe_definitions


def test_the_file_has_the_recipes_of_the_models() -> None:
    in_file = {name: each for name, each in read_schema()["$defs"].items() if name.startswith("recipe_")}
    assert in_file == recipe_definitions(), "run: python -m nnunet_femur.study.schema"


@pytest.mark.parametrize(
    ("recipe", "valid"),
    [
        ({"epochs": 3, "slice": {"batch_size": 4}, "MyTrainer": {"sharpness": 1}}, True),
        ({"epochs": "3"}, False),
        ({"slice": {"warmup_epochs": 1}}, False),
        ({"FemurScratchTrainer": {"epochs": 0}}, False),
    ],
    ids=str,
)
def test_editors_get_the_types(recipe: dict[str, Any], *, valid: bool) -> None:
    from jsonschema import Draft202012Validator

    plans = {"nnUNetPlans": {"recipe": recipe}}
    validator = Draft202012Validator(read_schema())
    assert validator.is_valid({"dataset": {"phantoms": 8}, "methods": [], "plans": plans}) == valid
