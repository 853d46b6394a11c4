"""A study's file: what it may leave out, and what is wrong said all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nnunet_femur.errors import InputError
from nnunet_femur.recipe.trainer_names import known_trainers
from nnunet_femur.study.study_file import read_study
from nnunet_femur.study.study_file import Method

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class TestRead:
    def test_fills_in_what_is_left_out(self, write: Callable[..., Path], tmp_path: Path) -> None:
        study = read_study(write(folder=None, plans=None, folds=None, methods=["FemurUnetResNet34Trainer"]))
        assert study.folder == tmp_path / "study"
        assert study.dataset == "Dataset001_Femur"
        assert study.methods == (Method("FemurUnetResNet34Trainer", "3d_fullres", "nnUNetPlans", (5,)),)
        assert study.plans == {"nnUNetPlans": {"configuration": ["3d_fullres"]}}
        assert (study.test, study.device, study.baseline) == ("fold", "auto", ())

    def test_a_method_comes_before_what_all_share(self, write: Callable[..., Path]) -> None:
        method = {"trainer": "FemurScratchTrainer", "folds": [5], "configuration": "2d"}
        study = read_study(write(methods=["FemurUnetResNet34Trainer", method]))
        assert [each.folds for each in study.methods] == [(0, 1), (5,)]
        assert study.methods[1].name == "FemurScratchTrainer__nnUNetPlans__2d"
        assert study.plans["nnUNetPlans"]["configuration"] == ["2d", "3d_fullres"]

    def test_plans_that_no_method_uses_are_not_made(self, write: Callable[..., Path]) -> None:
        plans = {"nnUNetPlans": {}, "Other": {"from": "totalsegmentator"}}
        assert list(read_study(write(plans=plans)).plans) == ["nnUNetPlans"]

    def test_paths_are_seen_from_the_file(self, write: Callable[..., Path], tmp_path: Path) -> None:
        (tmp_path / "drop").mkdir()
        study = read_study(write(dataset={"source": "drop", "id": 12, "name": "Hip", "convert": {"test-ids": "t.txt"}}))
        assert study.source == tmp_path / "drop"
        assert study.convert == {"test-ids": str(tmp_path / "t.txt")}
        assert study.raw == tmp_path / "work" / "nnUNet_raw" / "Dataset012_Hip"

    def test_numbers_in_the_environment_become_text(self, write: Callable[..., Path]) -> None:
        assert read_study(write(environment={"nnUNet_n_proc_DA": 3})).environment == {"nnUNet_n_proc_DA": "3"}


class TestProblems:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"metods": []}, "there is no 'metods' here, did you mean 'methods'"),
            ({"dataset": None}, "'dataset' is a required property"),
            ({"dataset": {"id": 1000}}, r"dataset\.id: 1000 is greater than the maximum of 999"),
            ({"dataset": {"source": "nowhere"}}, r"dataset\.source: there is no .*nowhere"),
            ({"dataset": {"source": ".", "phantoms": 8}}, "a source or phantoms, not both"),
            ({"dataset": {"phantoms": 8, "convert": {"splt": "1/1/1"}}}, "'splt' here, did you mean 'split'"),
            ({"folds": [6]}, "6 is greater than the maximum of 5"),
            ({"folds": [1, 1]}, "non-unique"),
            ({"plans": {"a__b": {}}}, "'a__b' does not match"),
            ({"plans": {"nnUNetPlans": {"preset": "tiny"}}}, r"plans\.nnUNetPlans\.preset: 'tiny' is not one of"),
            ({"methods": ["FemurUnetResnet34Trainer"]}, "no FemurUnetResnet34Trainer, did you mean 'FemurUnetResNet34"),
            ({"methods": [{"trainer": "FemurScratchTrainer", "plan": "x"}]}, "'plan' here, did you mean 'plans'"),
            ({"methods": [{"trainer": "FemurScratchTrainer", "plans": "X"}]}, "X is not among the plans: nnUNetPlans"),
            (
                {"methods": [{"trainer": "FemurScratchTrainer", "recipe": {"epoch": 1}}]},
                r"methods\.0\.recipe\.epoch: .*Did you mean 'epochs'",
            ),
            (
                {"methods": ["FemurScratchTrainer"] * 2},
                "FemurScratchTrainer__nnUNetPlans__3d_fullres stands there twice",
            ),
            ({"methods": []}, "nothing to compare"),
            ({"baseline": ["2mm"]}, "'2mm' is not one of"),
            ({"cluster": {"resources": {"trian": {}}}}, "'trian' is not one of"),
        ],
    )
    def test_each_is_named(self, write: Callable[..., Path], changes: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError, match=message) as caught:
            read_study(write(**changes))
        assert "study.yaml: 1 to mend" in str(caught.value)

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
        with pytest.raises(InputError) as caught:
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
            with pytest.raises(InputError, match="the plans nnUNetPlans have 3d_fullres, not 2d"):
                read_study(write(plans={"nnUNetPlans": plans}, methods=[method]))

    def test_one_trainer_has_one_recipe_in_its_plans(self, write: Callable[..., Path]) -> None:
        one = {"trainer": "FemurScratchTrainer", "recipe": {"epochs": 3}}
        other = {"trainer": "FemurScratchTrainer", "configuration": "2d"}
        with pytest.raises(InputError, match="differs from that of FemurScratchTrainer__nnUNetPlans__3d_fullres"):
            read_study(write(methods=[one, other]))
        plans = {"nnUNetPlans": {}, "Others": {}}
        assert read_study(write(methods=[one, {**other, "plans": "Others"}], plans=plans))

    def test_all_are_told_at_once(self, write: Callable[..., Path]) -> None:
        with pytest.raises(InputError, match=r"2 to mend:\n.*folds\.0.*\n.*test: 'all' is not"):
            read_study(write(folds=[9], test="all"))

    @pytest.mark.parametrize(
        ("text", "message"), [("a: [", "is no YAML"), ("- a", "names with values"), (None, "cannot be read")]
    )
    def test_files_that_are_none(self, tmp_path: Path, text: str | None, message: str) -> None:
        file = tmp_path / "x.yaml"
        if text is not None:
            file.write_text(text)
        with pytest.raises(InputError, match=f"x.yaml.*{message}"):
            read_study(file)


def test_trainers_are_ours_nnunets_and_those_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("class MyTrainer(nnUNetTrainer):\n    pass\n")
    monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path))
    assert {"FemurFinetuneTrainer", "FemurHeadUnetDeepLabV3Trainer", "nnUNetTrainer", "MyTrainer"} <= known_trainers()
