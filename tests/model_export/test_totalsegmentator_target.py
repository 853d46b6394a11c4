"""An export to TotalSegmentator, run by TotalSegmentator's own program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from nnunet_femur import Segmenter
from nnunet_femur.imaging.geometry import oriented
from nnunet_femur.model_export import export
from nnunet_femur.model_export.totalsegmentator_target import FINETUNED_NOTE
from nnunet_femur.testing import make_phantom
from nnunet_femur.weights.models import FEMURS, crop_entry, femur_entry, open_model, other_parts
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROGRAM = """
from nnunet_femur.baselines.worker import without_processes
from totalsegmentator.bin.TotalSegmentator import main

without_processes()
main()
"""
"""TotalSegmentator's program, without nnU-Net's worker processes, each of which would import nnU-Net again."""


@pytest.fixture(scope="module")
def installed(dummy_model: Path, dummy_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with the dummy that was fine-tuned, and a model for the crop that calls all voxels femur."""
    folder = shutil.copytree(dummy_model, tmp_path_factory.mktemp("installed") / "results")
    crop = crop_entry()
    shutil.copytree(dummy_weights / crop.dataset, folder / crop.dataset)
    path = open_model(folder, crop).checkpoint
    checkpoint = torch.load(path, weights_only=False)
    for name, tensor in checkpoint["network_weights"].items():
        if "seg_layers" in name and name.endswith("bias"):
            tensor[crop.classes["femur_left"]] = 50
    torch.save(checkpoint, path)
    return folder


@pytest.mark.integration
class TestTotalSegmentator:
    @pytest.mark.usefixtures("in_this_process")
    def test_runs_the_finetuned_network(
        self, make_trained: Callable[..., Path], installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """On a CT at TotalSegmentator's spacing, which neither program resamples first."""
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(installed))
        before = {path: path.read_bytes() for path in installed.rglob("*") if path.is_file()}
        model = make_trained(folds=2)
        phantom = make_phantom(5, size_zyx=(120, 80, 80), spacing_mm_zyx=(1.5, 1.5, 1.5))
        ct = tmp_path / "leg.nii.gz"
        sitk.WriteImage(oriented(phantom.image), str(ct))
        exported = export(model, tmp_path / "weights", to="totalsegmentator", folds=1)
        assert exported.parity.femur_voxels > 100

        (tmp_path / "home").mkdir()
        config = {"totalseg_id": "x", "send_usage_stats": False, "prediction_counter": 0}
        (tmp_path / "home" / "config.json").write_text(json.dumps(config | {"statistics_disclaimer_shown": True}))
        subprocess.run(
            [sys.executable, "-c", PROGRAM, "-i", ct, "-o", tmp_path / "found", "-d", "cpu", "-q", "-rs", *FEMURS],
            env=os.environ
            | {"TOTALSEG_WEIGHTS_PATH": str(exported.folder), "TOTALSEG_HOME_DIR": str(tmp_path / "home")},
            check=True,
        )
        theirs = sum(
            sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "found" / f"{each}.nii.gz"))) for each in FEMURS
        )
        of_fold = [
            sitk.GetArrayFromImage(Segmenter(model, folds=fold, step_size=0.8, device="cpu", exhaustive=True)(ct).mask)
            > 0
            for fold in (0, 1)
        ]
        assert np.count_nonzero(of_fold[1]) > 10_000
        assert np.count_nonzero((theirs > 0) != of_fold[1]) <= 1e-4 * np.count_nonzero(of_fold[1])
        assert np.count_nonzero((theirs > 0) != of_fold[0]) > 100, "it is the fine-tuned network of this fold"
        # The original is as it was.
        assert {path: path.read_bytes() for path in installed.rglob("*") if path.is_file()} == before

    @pytest.mark.usefixtures("in_this_process")
    def test_files(self, finetuned: Path, installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path / "nothing installed"))
        exported = export(finetuned, tmp_path / "weights", to="totalsegmentator")
        entry = femur_entry()
        opened = open_model(exported.folder, entry)
        assert opened.dataset_json["labels"] == {"background": 0} | entry.classes
        assert opened.plans["image_reader_writer"] == "NibabelIO"
        assert not opened.is_dummy
        assert (exported.folder / entry.dataset / FINETUNED_NOTE).is_file()
        assert {path.name for path in exported.folder.iterdir() if path.is_dir()} == {entry.dataset, *other_parts()}


class TestRefusals:
    def test_of_several_folds(self, make_trained: Callable[..., Path], tmp_path: Path) -> None:
        with refused("invalid-option", "2"):
            export(make_trained(folds=2), tmp_path / "out", to="totalsegmentator")

    @pytest.mark.parametrize("trainer", ["FemurScratchTrainer", "FemurFinetunePaperTrainer"])
    def test_of_other_channels(self, trainer: str, make_trained: Callable[..., Path], tmp_path: Path) -> None:
        with refused("unsupported", trainer, 24):
            export(make_trained(trainer), tmp_path / "out", to="totalsegmentator")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("place", ["results", "results/mine", "."])
    def test_of_totalsegmentators_own_folder(
        self, place: str, finetuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also before any weights are installed there."""
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path / "results"))
        with refused("exists", tmp_path / "results"):
            export(finetuned, tmp_path / place, to="totalsegmentator", overwrite=True)
        assert list(tmp_path.iterdir()) == []
