"""A study's file: defaults of missing keys, and all problems at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nnunet_femur.recipe.trainer_names import known_trainers
from nnunet_femur.study.methods import Method
from nnunet_femur.study.study_file import read_study
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class TestRead:
    def test_fills_in_missing_keys(self, write: Callable[..., Path], tmp_path: Path) -> None:
        study = read_study(write(folder=None, plans=None, folds=None, methods=["FemurUnetResNet34Trainer"]))
        assert study.folder == tmp_path / "study"
        assert study.dataset == "Dataset001_Femur"
        assert study.methods == (Method("FemurUnetResNet34Trainer", "3d_fullres", "nnUNetPlans", (5,)),)
        assert study.plans == {"nnUNetPlans": {"configuration": ["3d_fullres"]}}
        assert (study.test, study.device, study.baseline) == ("fold", "auto", ())

    def test_a_path_may_be_a_string(self, write: Callable[..., Path]) -> None:
        assert read_study(str(write())) == read_study(write())

    def test_settings_of_a_method_take_precedence(self, write: Callable[..., Path]) -> None:
        method = {"trainer": "FemurScratchTrainer", "folds": [5], "configuration": "2d"}
        study = read_study(write(methods=["FemurUnetResNet34Trainer", method]))
        assert [each.folds for each in study.methods] == [(0, 1), (5,)]
        assert study.methods[1].name == "FemurScratchTrainer__nnUNetPlans__2d"
        assert study.plans["nnUNetPlans"]["configuration"] == ["2d", "3d_fullres"]

    def test_plans_that_no_method_uses_are_not_made(self, write: Callable[..., Path]) -> None:
        plans = {"nnUNetPlans": {}, "Other": {"from": "totalsegmentator"}}
        assert list(read_study(write(plans=plans)).plans) == ["nnUNetPlans"]

    def test_paths_are_relative_to_the_file(self, write: Callable[..., Path], tmp_path: Path) -> None:
        (tmp_path / "source").mkdir()
        dataset = {"source": "source", "id": 12, "name": "Hip", "convert": {"test-ids": "t.txt"}}
        study = read_study(write(dataset=dataset))
        assert study.source == tmp_path / "source"
        assert study.convert == {"test-ids": str(tmp_path / "t.txt")}
        assert study.raw == tmp_path / "work" / "nnUNet_raw" / "Dataset012_Hip"

    def test_numbers_in_the_environment_become_text(self, write: Callable[..., Path]) -> None:
        assert read_study(write(environment={"nnUNet_n_proc_DA": 3})).environment == {"nnUNet_n_proc_DA": "3"}


class TestProblems:
    @pytest.mark.parametrize(
        ("changes", "place", "named"),
        [
            ({"metods": []}, "metods", ["'methods'"]),
            ({"dataset": None}, "dataset", []),
            ({"dataset": {"id": 1000}}, "dataset.id", ["1000", "999"]),
            ({"dataset": {"source": "nowhere"}}, "dataset.source", ["nowhere"]),
            ({"dataset": {"source": ".", "phantoms": 8}}, "dataset", ["source", "phantoms"]),
            ({"dataset": {"phantoms": 8, "convert": {"splt": "1/1/1"}}}, "dataset.convert.splt", ["'split'"]),
            ({"dataset": {"phantoms": 8, "convert": {"seed": "1"}}}, "dataset.convert.seed", ['"1"', "number"]),
            ({"dataset": {"phantoms": 8, "convert": {"labels": True}}}, "dataset.convert.labels", ["true", "text"]),
            ({"folds": [6]}, "folds.0", ["from 0 to 5", "6"]),
            ({"folds": [1, 1]}, "folds", ["[1, 1]"]),
            ({"folds": []}, "folds", []),
            ({"plans": {"a__b": {}}}, "plans.a__b", ["'a__b'"]),
            ({"plans": {"nnUNetPlans": {"preset": "tiny"}}}, "plans.nnUNetPlans.preset", ['"tiny"', "default, small"]),
            ({"methods": ["FemurUnetResnet34Trainer"]}, "methods.0.trainer", ["'FemurUnetResNet34Trainer'"]),
            ({"methods": [{"trainer": "FemurScratchTrainer", "plan": "x"}]}, "methods.0.plan", ["'plans'"]),
            ({"methods": [{"trainer": "FemurScratchTrainer", "plans": "X"}]}, "methods.0.plans", ["X", "nnUNetPlans"]),
            (
                {"methods": [{"trainer": "FemurScratchTrainer", "recipe": {"epoch": 1}}]},
                "methods.0.recipe.epoch",
                ["'epochs'"],
            ),
            (
                {"methods": ["FemurScratchTrainer"] * 2},
                "methods.1",
                ["FemurScratchTrainer__nnUNetPlans__3d_fullres"],
            ),
            ({"methods": [5]}, "methods.0", ["5"]),
            ({"methods": []}, "methods", ["baseline"]),
            ({"baseline": ["2mm"]}, "baseline.0", ['"2mm"', "1.5mm, 3mm"]),
            ({"cluster": {"resources": {"trian": {}}}}, "cluster.resources.trian", ["'train'"]),
            ({"cluster": {"resources": {"train": {"mem": 1}}}}, "cluster.resources.train.mem", ["'mem_mb'"]),
            ({"compare": {"in_slices": []}}, "compare.in_slices", ["'in-slices'"]),
            ({"compare": {"covariates": "nowhere.csv"}}, "compare.covariates", ["nowhere.csv"]),
            ({"compare": {"raters": {"Dr. B": "nowhere"}}}, "compare.raters.Dr. B", ["nowhere"]),
        ],
        ids=str,
    )
    def test_each_has_its_place(
        self, write: Callable[..., Path], changes: dict[str, Any], place: str, named: list[str]
    ) -> None:
        with refused("invalid-study", "study.yaml: 1 problem:") as caught:
            read_study(write(**changes))
        (line,) = str(caught.value).splitlines()[1:]
        where, _, problem = line.strip().partition(": ")
        assert where == place
        assert all(each in problem for each in named), problem

    def test_keys_that_are_not_text(self, tmp_path: Path) -> None:
        file = tmp_path / "study.yaml"
        file.write_text("dataset: {phantoms: 8}\nmethods: [FemurScratchTrainer]\nenvironment: {5: x}\n6: y\n")
        with refused("invalid-study", "6: the key", "environment.5: the key"):
            read_study(file)

    def test_values_of_recipes(
        self, write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "mine.py").write_text("class MyTrainer(nnUNetTrainer):\n    pass\n")
        monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path))
        plans = {"nnUNetPlans": {"recipe": {"epochs": "20", "slice": {"planes": ["axial"]}}}}
        methods = [
            {"trainer": "FemurScratchTrainer", "recipe": {"mirror": "no", "batch_size": 4}},
            {"trainer": "FemurThreePlaneTrainer", "recipe": {"plane_weights": [1, 2]}},
            {"trainer": "FemurFinetuneTrainer", "recipe": 5},
            {"trainer": "MyTrainer", "recipe": {"own": 1, "seed": True}},
            {"trainer": "nnUNetTrainer", "recipe": {"epochs": 1}},
            {"trainer": "FemurUnetResnet34Trainer", "recipe": {"epochs": 1}},
        ]
        with refused("invalid-study") as caught:
            read_study(write(plans=plans, methods=methods, folds=[9]))
        lines = str(caught.value).splitlines()[1:]
        assert [line.strip().split(": ")[0] for line in lines] == [
            "folds.0",
            "plans.nnUNetPlans.recipe.epochs",
            "methods.0.recipe.mirror",
            "methods.0.recipe.batch_size",
            "methods.1.recipe.plane_weights",
            "methods.2.recipe",
            "methods.3.recipe.seed",
            "methods.4.recipe",
        ]

    def test_configurations_have_to_be_planned(self, write: Callable[..., Path]) -> None:
        method = {"trainer": "FemurScratchTrainer", "configuration": "2d"}
        for plans in ({"configuration": ["3d_fullres"]}, {"from": "totalsegmentator"}):
            with refused("invalid-study", "methods.0.configuration", "3d_fullres", "2d"):
                read_study(write(plans={"nnUNetPlans": plans}, methods=[method]))

    def test_a_trainer_has_one_recipe_in_its_plans(self, write: Callable[..., Path]) -> None:
        one = {"trainer": "FemurScratchTrainer", "recipe": {"epochs": 3}}
        other = {"trainer": "FemurScratchTrainer", "configuration": "2d"}
        with refused("invalid-study", "methods.1.recipe", "FemurScratchTrainer__nnUNetPlans__3d_fullres"):
            read_study(write(methods=[one, other]))
        plans = {"nnUNetPlans": {}, "Others": {}}
        assert read_study(write(methods=[one, {**other, "plans": "Others"}], plans=plans))

    def test_all_are_reported_at_once(self, write: Callable[..., Path]) -> None:
        with refused("invalid-study", "2 problems:", "\n  folds.0: ", "\n  test: "):
            read_study(write(folds=[9], test="all"))

    @pytest.mark.parametrize("text", ["a: [", "- a", None])
    def test_files_that_cannot_be_read(self, tmp_path: Path, text: str | None) -> None:
        file = tmp_path / "x.yaml"
        if text is not None:
            file.write_text(text)
        code = {"a: [": "invalid-file", "- a": "invalid-file", None: "unreadable"}[text]
        with refused(code, file):
            read_study(file)


def test_trainers_are_ours_nnunets_and_those_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("class MyTrainer(nnUNetTrainer):\n    pass\n")
    monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path))
    assert {"FemurFinetuneTrainer", "FemurHeadUnetDeepLabV3Trainer", "nnUNetTrainer", "MyTrainer"} <= known_trainers()
