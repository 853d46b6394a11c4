"""The tables of docs/recipes.md are those of the models: names, defaults, values and meanings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.recipe.hyperparameters import (
    FinetunePaperRecipe,
    FinetuneRecipe,
    Recipe,
    SliceRecipe,
    ThreePlaneRecipe,
)
from nnunet_femur.recipe.recipe_checks import requirements

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCS = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")


def _default(recipe: type[Recipe], name: str) -> str:
    if name not in recipe.model_fields:
        return "–"
    value = recipe.model_fields[name].default
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if value is None or isinstance(value, bool):
        return f"`{json.dumps(value)}`"
    # 3e-05 as 0.00003.
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _table(recipes: dict[str, type[Recipe]], names: Sequence[str]) -> str:
    rows = [["hyperparameter", *recipes, "values", "meaning"], ["---"] * (len(recipes) + 3)]
    for name in names:
        schema = next(each.model_json_schema()["properties"][name] for each in recipes.values() if _has(each, name))
        values = " or ".join(requirements(schema)).replace("null", "`null`")
        defaults = [_default(each, name) for each in recipes.values()]
        rows.append([f"`{name}`", *defaults, values, schema["description"]])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows).replace("| --- ", "|---").replace("--- |", "---|")


def _has(recipe: type[Recipe], name: str) -> bool:
    return name in recipe.model_fields


def _same(one: type[Recipe], other: type[Recipe], name: str) -> bool:
    fields = (one.model_fields[name], other.model_fields[name])
    return len({(field.default, field.description) for field in fields}) == 1


@pytest.mark.parametrize(
    ("recipes", "names"),
    [
        (
            {"volume (nnU-Net's)": Recipe, "slice (the study's)": SliceRecipe, "three planes": ThreePlaneRecipe},
            list(SliceRecipe.model_fields),
        ),
        (
            {"`FemurFinetuneTrainer`": FinetuneRecipe, "`FemurFinetunePaperTrainer`": FinetunePaperRecipe},
            [
                name
                for name in FinetuneRecipe.model_fields
                if not _has(Recipe, name)
                or not all(_same(each, Recipe, name) for each in (FinetuneRecipe, FinetunePaperRecipe))
            ],
        ),
    ],
    ids=["volume and slice", "finetune"],
)
def test_table(recipes: dict[str, type[Recipe]], names: list[str]) -> None:
    expected = _table(recipes, names)
    assert expected in DOCS, f"docs/recipes.md must contain:\n{expected}"
