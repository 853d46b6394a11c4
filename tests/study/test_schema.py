"""The JSON schema of a study's file is that of the models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest
from jsonschema import Draft202012Validator

from nnunet_femur.study.commands import STAGES
from nnunet_femur.study.form_problems import problems_of_form
from nnunet_femur.study.schema import FILE, Stage, json_schema, schema_text

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_the_file_is_exported_from_the_models() -> None:
    assert FILE.read_text(encoding="utf-8") == schema_text(), "run: python -m nnunet_femur.study.schema"


def test_stages_are_those_of_jobs() -> None:
    assert get_args(Stage) == STAGES


def test_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


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
def test_editors_get_the_types_of_recipes(recipe: dict[str, Any], *, valid: bool) -> None:
    plans = {"nnUNetPlans": {"recipe": recipe}}
    assert Draft202012Validator(json_schema()).is_valid({**MINIMAL, "plans": plans}) == valid


MINIMAL: dict[str, Any] = {"dataset": {"phantoms": 8}, "methods": []}


@pytest.mark.parametrize(
    ("changes", "valid"),
    [
        ({}, True),
        ({"methods": ["A", {"trainer": "B", "folds": [0, 5], "recipe": {"epochs": 1}}]}, True),
        ({"cluster": {"account": 12, "gpu-partition": "g", "resources": {"train": {"mem_mb": 1}}}}, True),
        ({"plans": {"A-1": {"from": "totalsegmentator", "fast": True}}, "environment": {"A": 1, "B": "x"}}, True),
        ({"dataset": {"convert": {"labels": "1,2", "min-volume-ml": 5, "segment": ["femur"]}}}, True),
        ({"compare": {"raters": {"Dr. B": "reader"}, "covariates": "cases.csv", "calibration": False}}, True),
        ({"compare": {"raters": ["reader"]}}, False),
        ({"compare": {"raters": {"a=b": "reader"}}}, False),
        ({"methods": [{"plans": "A"}]}, False),
        ({"methods": [{"trainer": "A", "recipe": {"epochs": "x"}}]}, None),
        ({"folds": [0, 0]}, False),
        ({"folds": []}, False),
        ({"baseline": ["1.5mm", "1.5mm"]}, False),
        ({"plans": {"a_b": {}}}, False),
        ({"environment": {"A": True}}, False),
        ({"dataset": {"id": 0}}, False),
        ({"device": "gpu"}, False),
        ({"x": 1}, False),
    ],
    ids=str,
)
def test_editors_and_the_command_agree(changes: dict[str, Any], *, valid: bool | None) -> None:
    """None: a recipe, which the command checks later."""
    content = {**MINIMAL, **changes}
    assert Draft202012Validator(json_schema()).is_valid(content) is bool(valid)
    assert (problems_of_form(content) == []) is (valid is not False)


FULL: dict[str, Any] = {
    "folder": "work",
    "dataset": {"id": 1, "name": "A", "source": "s", "convert": {"seed": 1, "segment": ["a"], "labels": 1}},
    "plans": {"nnUNetPlans": {"from": "dataset", "configuration": ["2d"], "epochs": 1, "recipe": {"epochs": 1}}},
    "folds": [0],
    "test": "fold",
    "methods": ["A", {"trainer": "B", "folds": [1], "recipe": {"epochs": 1}}],
    "baseline": ["3mm"],
    "compare": {"in-slices": ["a"], "intersect": True},
    "environment": {"A": "b"},
    "cluster": {"account": 1, "jobs": 2, "resources": {"train": {"mem_mb": 1}}},
}
ODD = [None, 5, 1.5, "x", True, [], [None], [[1]], {}, {"x": 1}, {5: 1}, float("nan")]


def _places(content: Any, place: tuple = ()) -> Iterator[tuple]:
    yield place
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield from _places(value, (*place, key))


def _with(content: Any, place: tuple, value: Any) -> Any:
    if not place:
        return value
    copy = content.copy()
    copy[place[0]] = _with(content[place[0]], place[1:], value)
    return copy


@pytest.mark.parametrize("place", [place for place in _places(FULL) if place], ids=str)
def test_every_odd_value_has_a_problem_in_words(place: tuple) -> None:
    assert problems_of_form(FULL) == []
    for value in ODD:
        for problem in problems_of_form(_with(FULL, place, value)):
            where, _, text = problem.partition(": ")
            assert where.startswith(".".join(map(str, place)))
            assert text
