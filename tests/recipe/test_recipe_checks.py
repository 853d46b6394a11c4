"""All problems of a recipe are found together, each with its key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nnunet_femur.recipe.recipe_checks import FAMILIES, problems_of, requirements

if TYPE_CHECKING:
    from pathlib import Path


def _keys(written: Any) -> list[str]:
    return [problem.key for problem in problems_of(written)]


def test_all_are_found_at_once() -> None:
    written = {
        "epoch": 3,
        "learning_rate": -1.0,
        "mirror": "no",
        "slice": {"slice_size": [64], "planes": ["oblique"], "warmup_epochs": 1},
        "slices": {},
        "FemurThreePlaneTrainer": {"keep": "best"},
        "volume": 3,
    }
    assert sorted(_keys(written)) == [
        "FemurThreePlaneTrainer.keep",
        "epoch",
        "learning_rate",
        "mirror",
        "slice.planes",
        "slice.slice_size",
        "slice.warmup_epochs",
        "slices",
        "volume",
    ]


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ({"epochs": "20"}, "Remove the quotes"),
        ({"epochs": 20.0}, "Write 20."),
        ({"mirror": "no"}, "Write true or false"),
        ({"epoch": 3}, "'epochs'"),
        ({"slice": {"planes": ["axial"], "plane_weight": [1]}}, "'plane_weights'"),
        ({"FemurUnetResnet34Trainer": {}}, "'FemurUnetResNet34Trainer'"),
        ({"nnUNetTrainer": {"epochs": 1}}, "reads no recipe"),
        ({"volume": {"batch_size": 1}}, "family slice"),
        ({"slice": {"plane_weights": "learned"}}, "or validation or null"),
    ],
    ids=str,
)
def test_each_has_its_fix(written: dict[str, Any], hint: str) -> None:
    (problem,) = problems_of(written)
    assert hint in problem.text


@pytest.mark.parametrize("written", [{}, {"batch_size": 4, "warmup_epochs": 2}, {"slice": {"planes": ["axial"]}}])
def test_none(written: dict[str, Any]) -> None:
    assert problems_of(written) == []


@pytest.mark.parametrize("written", [None, [1], "epochs: 3", 5])
def test_no_mapping_at_all(written: Any) -> None:
    assert _keys(written) == [""]


def test_weights_are_counted_with_the_planes_of_another_section() -> None:
    weights = {"FemurThreePlaneTrainer": {"plane_weights": [1, 2]}}
    assert _keys(weights) == ["FemurThreePlaneTrainer.plane_weights"]
    assert _keys({**weights, "slice": {"planes": ["axial", "coronal"]}}) == []


def test_trainers_of_users_may_have_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("class MyTrainer(SliceTrainer):\n    pass\n")
    assert _keys({"MyTrainer": {"sharpness": 1}}) == ["MyTrainer"]
    monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path))
    assert _keys({"MyTrainer": {"sharpness": 1}}) == []
    assert _keys({"MyTrainer": {"sharpness": 1, "epochs": "3"}}) == ["MyTrainer.epochs"]


def test_every_hyperparameter_can_be_described() -> None:
    for recipe in FAMILIES.values():
        for name, schema in recipe.model_json_schema()["properties"].items():
            assert requirements(schema), name
            assert schema["description"].endswith("."), name
