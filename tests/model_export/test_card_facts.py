"""Scores, training records and origin of the weights, as the model card gives them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.model_export.card_facts import find_scores, recipe_of, start_of, training_records
from nnunet_femur.model_export.trained_networks import TrainedNetworks, load_networks
from nnunet_femur.prediction.trained_model import find_model
from nnunet_femur.weights.model_statements import NOT_KNOWN
from tests.refusing import names, refused

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "method,set,fold,case,patient,protocol,plane,region,metric,value,unit"
NAME = "FemurFinetuneTrainer__nnUNetPlans__3d_fullres"


@pytest.fixture
def networks(finetuned: Path, tmp_path: Path) -> TrainedNetworks:
    """A model in nnU-Net's results folder of its own, with one fold."""
    folder = tmp_path / "results" / "Dataset001_Femur" / finetuned.name
    shutil.copytree(finetuned, folder)
    return load_networks(find_model(folder))


def _row(value: object, case: str = "L1", **changes: str) -> str:
    row = {"method": NAME, "set": "test", "fold": "0", "case": case, "patient": case[1:], "protocol": "volume"}
    row |= {"plane": "all", "region": "whole", "metric": "dice", "value": str(value), "unit": ""} | changes
    return ",".join(row[key] for key in HEAD.split(","))


def _write(path: Path, *rows: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEAD, *rows]) + "\n")
    return path


class TestScores:
    def test_mean_and_deviation_over_cases(self, networks: TrainedNetworks, tmp_path: Path) -> None:
        path = _write(
            tmp_path / "scores.csv",
            *(_row(value, case) for value, case in ((0.9, "L1"), (0.8, "L2"), (1.0, "L3"))),
            _row(2.0, metric="hd95"),
            _row("", "L2", metric="hd95"),
            _row(0.5, region="shaft"),
            _row(0.5, plane="axial"),
            _row(0.5, protocol="paper"),
            _row(0.5, fold="1"),
            _row(0.5, method="FemurScratchTrainer__nnUNetPlans__3d_fullres"),
        )
        found, (row,) = find_scores(networks, path)
        assert found == path
        assert (row.title, row.cases) == ("test, fold 0", 3)
        # The variance is ((0 + 0.01 + 0.01) / 2).
        assert row.values["dice"] == (pytest.approx(0.9), pytest.approx(0.1), 3)
        assert row.values["hd95"] == (2.0, None, 1)

    def test_folds_of_the_cross_validation_are_one_set(self, networks: TrainedNetworks, tmp_path: Path) -> None:
        both = replace(networks, model=replace(networks.model, folds=("0", "1")))
        method = f"Dataset001_Femur/{NAME}"
        rows = [_row(0.9, set="cv", fold="0", method=method), _row(0.7, "L2", set="cv", fold="1", method=method)]
        _, (row,) = find_scores(both, _write(tmp_path / "scores.csv", *rows))
        assert (row.title, row.cases, row.values["dice"][0]) == ("cross-validation", 2, pytest.approx(0.8))

    def test_of_the_ensemble_belong_to_all_folds_only(self, networks: TrainedNetworks, tmp_path: Path) -> None:
        shutil.copytree(networks.model.folder / "fold_0", networks.model.folder / "fold_1")
        path = _write(tmp_path / "scores.csv", _row(0.8), _row(0.9, fold="ensemble"))
        assert [row.title for row in find_scores(networks, path)[1]] == ["test, fold 0"]
        both = replace(networks, model=replace(networks.model, folds=("0", "1")))
        assert [row.title for row in find_scores(both, path)[1]] == ["test, all folds together", "test, fold 0"]

    @pytest.mark.parametrize("place", ["results/comparison", "results/Dataset001_Femur/comparison"])
    def test_are_found_where_compare_writes_them(self, place: str, networks: TrainedNetworks, tmp_path: Path) -> None:
        assert find_scores(networks, None) == (None, [])
        path = _write(tmp_path / place / "scores.csv", _row(0.9))
        assert find_scores(networks, None)[0] == path

    @pytest.mark.parametrize(
        ("content", "code"),
        [(HEAD + "\n", "no-predictions"), ("name;value\nx;1\n", "invalid-file"), (None, "unreadable")],
    )
    def test_that_cannot_be_used(
        self, content: str | None, code: str, networks: TrainedNetworks, tmp_path: Path
    ) -> None:
        path = tmp_path / "scores.csv"
        if content is not None:
            path.write_text(content)
        with refused(code, path):
            find_scores(networks, path)

    def test_with_a_value_that_is_no_number(self, networks: TrainedNetworks, tmp_path: Path) -> None:
        with refused("invalid-file"):
            find_scores(networks, _write(tmp_path / "scores.csv", _row("high")))


class TestTraining:
    def test_record(self, networks: TrainedNetworks) -> None:
        assert training_records(networks) == {}
        assert recipe_of(networks) == {"epochs": 7}, "of the plans"
        record = {"recipe": {"epochs": 50, "learning_rate": 3e-4}, "epochs_done": 50}
        (networks.model.folder / "fold_0" / "run.json").write_text(json.dumps(record))
        assert training_records(networks) == {"0": record}
        assert recipe_of(networks) == record["recipe"]


class TestStart:
    def test_of_fine_tuning(self, networks: TrainedNetworks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path / "nothing"))
        source = networks.source
        assert source is not None
        assert names(start_of(networks), source["dataset"], source["checkpoint_sha256"], "Apache-2.0")

    def test_of_dummy_weights(
        self, networks: TrainedNetworks, dummy_model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(dummy_model))
        assert names(start_of(networks), "Dummy")
        assert not names(start_of(networks), "Apache-2.0")

    def test_of_others(self, networks: TrainedNetworks) -> None:
        assert "Random weights" in start_of(replace(networks, trainer="FemurScratchTrainer"))
        assert start_of(replace(networks, trainer="nnUNetTrainer")) == NOT_KNOWN
        (networks.model.folder / "fold_0" / "run.json").write_text(
            json.dumps({"recipe": {"encoder_weights": "imagenet"}})
        )
        slices = replace(networks, trainer="FemurUnetResNet34Trainer")
        assert names(start_of(slices), "imagenet", NOT_KNOWN)
