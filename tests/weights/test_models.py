"""TotalSegmentator's tables, and the models in its weights folder."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.weights import crop_entry, femur_entry, find_crop_model, find_model, weights_folder
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path


class TestTables:
    def test_the_femur_is_in_the_muscles_part(self) -> None:
        entry = femur_entry()
        assert entry.folder == (
            "Dataset294_TotalSegmentator_part4_muscles_1559subj/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres"
        )
        assert (entry.classes["femur_left"], entry.classes["femur_right"], entry.channels) == (7, 8, 24)
        assert entry.spacing_mm == 1.5

    def test_the_fast_model_has_all_classes(self) -> None:
        entry = femur_entry(fast=True)
        assert entry.folder == (
            "Dataset297_TotalSegmentator_total_3mm_1559subj/nnUNetTrainer_4000epochs_NoMirroring__nnUNetPlans__3d_fullres"
        )
        assert (entry.classes["femur_left"], entry.classes["femur_right"], entry.channels) == (75, 76, 118)

    def test_the_crop_is_at_6_mm(self) -> None:
        assert (crop_entry().task_id, crop_entry().spacing_mm) == (298, 6.0)


class TestWeightsFolder:
    @pytest.mark.parametrize(
        "variables",
        [
            {},
            {"TOTALSEG_HOME_DIR": "/elsewhere"},
            {"TOTALSEG_WEIGHTS_PATH": "/weights"},
            {"TOTALSEG_HOME_DIR": "/elsewhere", "TOTALSEG_WEIGHTS_PATH": "/weights"},
            {"HOME": "/"},
            {"HOME": "/home/somebody"},
        ],
    )
    def test_is_totalsegmentators_own(self, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        from totalsegmentator.config import get_weights_dir

        for name in ("TOTALSEG_HOME_DIR", "TOTALSEG_WEIGHTS_PATH"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert weights_folder() == get_weights_dir()

    def test_finding_loads_no_torch(self, weights: Path) -> None:
        code = "import sys; from nnunet_femur.weights import find_model; find_model(); print('torch' in sys.modules)"
        printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert printed.stdout.strip() == "False"


class TestFindModel:
    def test_reads_what_is_there(self, weights: Path) -> None:
        model = find_model()
        assert model.folder == weights / femur_entry().folder
        assert model.femur_channels == (7, 8)
        assert model.checkpoint.is_file()
        assert model.plans["dataset_name"] == model.dataset
        assert (model.trainer, model.configuration) == ("nnUNetTrainerNoMirroring", "3d_fullres")
        assert model.is_dummy

    def test_fast_and_crop(self, weights: Path) -> None:
        assert find_model(fast=True).femur_channels == (75, 76)
        assert find_crop_model().task == 298

    def test_missing_names_the_folder_and_the_command(self, no_weights: Path) -> None:
        with refused("no-weights", no_weights, "Dataset294", "nnfemur weights download ("):
            find_model()
        with refused("no-weights", "Dataset297", "nnfemur weights download --fast"):
            find_model(fast=True)

    @pytest.mark.parametrize("name", ["plans.json", "dataset.json", "fold_0/checkpoint_final.pth"])
    def test_each_missing_file_is_named(self, name: str, weights: Path) -> None:
        (weights / femur_entry().folder / name).unlink()
        with refused("invalid-weights", name):
            find_model()

    def test_swapped_classes_are_refused(self, weights: Path) -> None:
        path = weights / femur_entry().folder / "dataset.json"
        content = json.loads(path.read_text())
        labels = content["labels"]
        labels["femur_left"], labels["femur_right"] = labels["femur_right"], labels["femur_left"]
        path.write_text(json.dumps(content))
        with refused("invalid-weights", path, "femur_left", "7", "8"):
            find_model()

    def test_other_number_of_classes_is_refused(self, weights: Path) -> None:
        path = weights / femur_entry().folder / "dataset.json"
        content = json.loads(path.read_text())
        content["labels"]["patella"] = 24
        path.write_text(json.dumps(content))
        with refused("invalid-weights", path, "24", "25"):
            find_model()
