"""Plans that are kept: names and data change, everything that networks depend on stays; folds may only grow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.dataset.raw import RawDataset
from nnunet_femur.planning.kept_plans import KeptPlans, replace_folds
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

PLANS = {
    "plans_name": "nnUNetPlans",
    "configurations": {"2d": {"data_identifier": "nnUNetPlans_2d", "spacing": [1.0, 1.0]}},
}
RECORD = {
    "source": None,
    "preset": "small",
    "planner": None,
    "kept": None,
    "configurations": ["2d"],
    "recipe": {
        "volume": {"epochs": 7, "learning_rate": 0.002},
        "FemurScratchTrainer": {"epochs": 9, "weight_decay": 0.01},
    },
}


@pytest.fixture
def kept() -> KeptPlans:
    return KeptPlans("nnUNetPlans", PLANS, RECORD)


class TestKeptPlans:
    def test_get_another_name_and_data_of_their_own(self, kept: KeptPlans) -> None:
        renamed = kept.renamed("Round2")
        assert renamed["plans_name"] == "Round2"
        assert renamed["configurations"]["2d"] == {"data_identifier": "Round2_2d", "spacing": [1.0, 1.0]}
        assert PLANS["configurations"]["2d"]["data_identifier"] == "nnUNetPlans_2d"

    def test_keep_their_recipe_unless_it_is_changed(self, kept: KeptPlans) -> None:
        same = {"epochs": None, "iterations": None, "pretrained": True, "changes": None}
        assert kept.changed_recipe(**same) == RECORD["recipe"]
        changed = kept.changed_recipe(**same | {"epochs": 3})
        assert changed["volume"] == {"epochs": 3, "learning_rate": 0.002}
        assert changed["FemurScratchTrainer"] == {"weight_decay": 0.01}
        assert changed["slice"] == {"epochs": 3}

    def test_keep_their_configurations(self, kept: KeptPlans) -> None:
        assert kept.configurations(None) == ("2d",)
        with refused("invalid-option", "3d_fullres"):
            kept.configurations("3d_fullres")

    def test_name_the_first_plans_of_a_chain(self, kept: KeptPlans) -> None:
        second = KeptPlans("Round2", PLANS, {**RECORD, **kept.settings()})
        assert kept.settings()["kept"] == second.settings()["kept"] == "nnUNetPlans"


class TestFolds:
    @pytest.fixture
    def replace(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Replace folds of a dataset that a network was trained on."""
        monkeypatch.setenv("nnUNet_results", str(tmp_path / "results"))
        raw, folder = tmp_path / "raw" / "Dataset001_Femur", tmp_path / "preprocessed"
        fold = tmp_path / "results" / raw.name / "T__P__2d" / "fold_0"
        for each in (raw, folder, fold):
            each.mkdir(parents=True)
        (raw / "dataset.json").write_text('{"file_ending": ".nrrd"}')
        (fold / "checkpoint_final.pth").touch()

        def run(before: list, now: list) -> list:
            (folder / "splits_final.json").write_text(json.dumps(before))
            (raw / "splits_final.json").write_text(json.dumps(now))
            replace_folds(RawDataset.open(raw), folder)
            return json.loads((folder / "splits_final.json").read_text())

        return run

    def test_may_get_further_cases(self, replace) -> None:
        now = [{"train": ["a", "c"], "val": ["b"]}, {"train": ["b"], "val": ["a", "c"]}]
        assert replace([{"train": ["a"], "val": ["b"]}, {"train": ["b"], "val": ["a"]}], now) == now

    @pytest.mark.parametrize(
        "now",
        [
            [{"train": ["b", "a"], "val": ["c"]}],
            [{"train": ["c"], "val": ["b"]}],
            [{"train": ["a"], "val": ["b"]}, {"train": ["b"], "val": ["a"]}],
        ],
        ids=["a case moved", "a case is gone", "another fold"],
    )
    def test_may_not_change_otherwise(self, replace, now: list) -> None:
        with refused("folds-changed"):
            replace([{"train": ["a"], "val": ["b"]}], now)
