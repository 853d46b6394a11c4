"""Ensembles and choices at the end of a study: which methods are meant, and problems of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nnunet_femur.study.methods import Method
from nnunet_femur.study.study_end import MethodEnsemble
from nnunet_femur.study.study_file import problems_of, read_study
from tests.refusing import names
from tests.study.conftest import CONTENT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FINE = {"trainer": "FemurFinetuneTrainer", "plans": "TotalSegmentatorPlans"}
PLANS = {"nnUNetPlans": {"configuration": ["2d", "3d_fullres"]}, "TotalSegmentatorPlans": {"from": "totalsegmentator"}}


def _members(write: Callable[..., Path], **content: Any) -> list[str]:
    return [each.short for each in read_study(write(**content)).end.ensembles]


class TestEnsembles:
    def test_pairs_are_all_of_whole_femurs_that_share_a_fold(self, write: Callable[..., Path]) -> None:
        methods = [
            "FemurUnetResNet34Trainer",
            "FemurScratchTrainer",
            "FemurHeadUnetResNet34Trainer",
            {**FINE, "folds": [0, 1, 2]},
            {"trainer": "nnUNetTrainer", "folds": [5]},
        ]
        study = read_study(write(methods=methods, plans=PLANS, ensembles="pairs"))
        assert [(each.short, each.folds) for each in study.end.ensembles] == [
            ("FemurUnetResNet34+FemurScratch", (0, 1)),
            ("FemurUnetResNet34+FemurFinetune.TotalSegmentatorPlans", (0, 1)),
            ("FemurScratch+FemurFinetune.TotalSegmentatorPlans", (0, 1)),
        ]

    def test_members_are_named_by_trainer_or_in_full(self, write: Callable[..., Path]) -> None:
        both = [{"trainer": "nnUNetTrainer", "configuration": each} for each in ("2d", "3d_fullres")]
        names = [each["trainer"] + "__nnUNetPlans__" + each["configuration"] for each in both]
        content = {"methods": [*both, "FemurScratchTrainer"], "plans": PLANS}
        ensembles = [names, ["FemurScratchTrainer", names[0]], [*names, "FemurScratchTrainer"]]
        study = read_study(write(**content, ensembles=ensembles))
        assert [each.name for each in study.end.ensembles] == [
            "Ensemble__nnUNet.2d+nnUNet__mean",
            "Ensemble__FemurScratch+nnUNet.2d__mean",
            "Ensemble__nnUNet.2d+nnUNet+FemurScratch__mean",
        ]

    def test_names_of_many_members_stay_short_and_differ(self) -> None:
        methods = [Method(f"FemurUnetPlusPlusWith{number}Trainer") for number in range(9)]
        first, second = (MethodEnsemble(tuple(each), (5,)).name for each in (methods, methods[:-1]))
        assert first != second
        assert len(first) < 100

    def test_without_the_key_there_are_none(self, write: Callable[..., Path]) -> None:
        end = read_study(write()).end
        assert (end.ensembles, end.best, end.postprocessing) == ((), False, False)


HEAD = "FemurHeadUnetResNet34Trainer"
UNET, SCRATCH = "FemurUnetResNet34Trainer", "FemurScratchTrainer"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"ensembles": [[UNET, "FemurScratchTrainr"]]}, ("ensembles.0.1", "FemurScratchTrainr", SCRATCH)),
        ({"ensembles": [[UNET, UNET]]}, ("ensembles.0", "twice")),
        ({"ensembles": [[UNET, SCRATCH], [UNET, SCRATCH]]}, ("ensembles.1", "ensembles.0")),
        ({"ensembles": [[UNET]]}, ("ensembles", "pairs", UNET)),
        ({"ensembles": "triples"}, ("ensembles", "pairs")),
        ({"ensembles": [[UNET, HEAD]], "methods": [UNET, HEAD]}, ("ensembles.0", "ends")),
        ({"ensembles": "pairs", "methods": [UNET, HEAD]}, ("ensembles",)),
        ({"ensembles": [[UNET, SCRATCH]], "methods": [UNET, {"trainer": SCRATCH, "folds": [3]}]}, ("ensembles.0",)),
        (
            {"best-configuration": True, "methods": [UNET, {"trainer": SCRATCH, "folds": [3]}]},
            ("best-configuration", "folds"),
        ),
        ({"postprocessing": True, "methods": [HEAD]}, ("postprocessing",)),
        (
            {
                "ensembles": [[UNET, SCRATCH]],
                "plans": PLANS,
                "methods": [UNET, SCRATCH, {"trainer": UNET, "configuration": "2d"}],
            },
            ("ensembles.0.0", f"{UNET}__nnUNetPlans__2d", f"{UNET}__nnUNetPlans__3d_fullres"),
        ),
        ({"plans": {"nnUNetPlans": {"planner": "ResEncMM"}}}, ("plans.nnUNetPlans.planner", "ResEncM")),
        (
            {"plans": {"nnUNetPlans": {"from": "totalsegmentator", "planner": "ResEncM"}}},
            ("plans.nnUNetPlans.planner", "TotalSegmentator"),
        ),
    ],
    ids=str,
)
def test_problems_name_the_place(content: dict[str, Any], named: tuple[str, ...], tmp_path: Path) -> None:
    found = problems_of({**CONTENT, **content}, tmp_path)
    assert len(found) == 1
    assert names(found[0], *named)


def test_a_stock_trainer_with_any_planner_is_a_method(write: Callable[..., Path]) -> None:
    plans = {"nnUNetPlans": {}, "nnUNetResEncUNetMPlans": {"planner": "ResEncM"}}
    stock = [{"trainer": "nnUNetTrainer", "plans": each} for each in plans]
    study = read_study(write(plans=plans, methods=stock, ensembles="pairs"))
    assert [each.short for each in study.methods] == ["nnUNet", "nnUNet.nnUNetResEncUNetMPlans"]
