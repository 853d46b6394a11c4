"""Several folds: one definition of the probability of femur, in `nnfemur predict`, in a study, and in nnU-Net."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
import yaml
from typer.testing import CliRunner

from nnunet_femur.consistency import FINGERPRINT_KEY
from nnunet_femur.dataset.environment import TRAINER_FOLDER
from nnunet_femur.prediction import Options, predict
from nnunet_femur.prediction.export import against_the_rest, decide

from .conftest import DATASET, TRAINER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FINETUNE = "FemurFinetuneTrainer"


class TestDefinition:
    """Two folds, four channels (background, hip, left, right femur), four voxels."""

    FEMUR = (2, 3)
    FOLDS = (
        ((2.1, 0.0, 1.9, 1.9), (0.0, 1.0, 3.0, 0.0), (5.0, 0.0, 0.0, 1.0), (0.0, 2.0, 1.0, 1.5)),
        ((0.0, 0.0, 0.25, 0.25), (0.0, 1.0, -1.0, 2.0), (1.0, 0.0, 0.0, 1.5), (0.0, 1.0, 1.0, 1.4)),
    )

    def _channels(self, fold: int) -> torch.Tensor:
        return torch.tensor(self.FOLDS[fold]).T.reshape(4, 1, 1, 4)

    def test_of_one_fold_it_is_above_a_half_where_a_channel_of_femur_is_the_largest(self) -> None:
        pair = against_the_rest(self._channels(0), self.FEMUR)
        assert pair[:, 0, 0].T.tolist() == pytest.approx(np.array([[2.1, 1.9], [1, 3], [5, 1], [2, 1.5]]))
        probability = torch.softmax(pair, 0)[1].flatten()
        # In the first voxel both femora together have 59 %, and yet the background is the largest.
        assert torch.softmax(self._channels(0)[:, 0, 0, 0], 0)[2:].sum() == pytest.approx(0.593, abs=1e-3)
        assert probability.tolist() == pytest.approx(1 / (1 + np.exp([0.2, -2, 4, 0.5])), abs=1e-6)

    @pytest.mark.parametrize("merges", [True, False])
    def test_of_several_folds_the_mean_decides(self, merges: bool) -> None:
        logits = [self._channels(fold) for fold in range(2)]
        part = decide(logits, (), self.FEMUR, deviation=True, merges=merges)
        of_folds = np.array([1 / (1 + np.exp([0.2, -2, 4, 0.5])), 1 / (1 + np.exp([-0.25, -1, -0.5, -0.4]))])
        assert part.of_folds[0].ravel().tolist() == [False, True, False, False]
        assert part.of_folds[1].ravel().tolist() == [True, True, True, True]
        # 0.450 and 0.562; 0.88 and 0.73; 0.02 and 0.62; 0.38 and 0.60.
        assert part.mask.ravel().tolist() == [True, True, False, False]
        # In the first voxel the background has the largest mean softmax of all four channels.
        softmax = torch.stack([torch.softmax(each, 0) for each in logits]).mean(0)
        assert softmax[:, 0, 0, 0].argmax() == 0
        assert part.mask.ravel().tolist() == (of_folds.mean(0) > 0.5).tolist()
        assert part.deviation is not None
        assert part.deviation.ravel() == pytest.approx(of_folds.std(0), abs=1e-6)

    def test_ties_are_nnunets(self) -> None:
        tie = torch.tensor([0.0, 1.0, 1.0]).reshape(3, 1, 1, 1)
        for femur, merges, is_femur in (((1,), False, True), ((1,), True, False), ((2,), False, False)):
            part = decide([tie], (), femur, deviation=False, merges=merges)
            assert part.of_folds[0].item() == is_femur, (femur, merges)


def _by_nnunet(model: Path, ct: Path, folder: Path, folds: int) -> np.ndarray:
    """The mask of nnUNetv2_predict --save_probabilities of each fold and nnUNetv2_ensemble."""
    from nnunetv2.ensembling.ensemble import merge_files
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    files = []
    for fold in range(folds):
        predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("nnUNet_extTrainer", str(TRAINER_FOLDER))
            predictor.initialize_from_trained_model_folder(str(model), (fold,), "checkpoint_final.pth")
        (folder / str(fold)).mkdir(parents=True)
        predictor.predict_from_files_sequential([[str(ct)]], [str(folder / str(fold) / "case")], True, True, None)
        files.append(str(folder / str(fold) / "case.npz"))
    reader = predictor.plans_manager.image_reader_writer_class()
    # What nnUNetv2_ensemble knows of the labels: those of dataset.json.
    labels = type(predictor.plans_manager)(str(model / "plans.json")).get_label_manager(predictor.dataset_json)
    merge_files(files, str(folder / "together"), ".nrrd", reader, labels)
    return _voxels(folder / "together.nrrd")


def _voxels(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def _ours(model: Path, ct: Path, folder: Path) -> np.ndarray:
    outcome = predict([ct], model, folder, device="cpu")
    assert outcome.complete, outcome.results
    return _voxels(folder / f"{outcome.results[0].case}.nrrd")


@pytest.fixture(scope="module")
def on_its_grid(make_model: Callable[..., Path]) -> Path:
    """A model of three folds on the grid of the phantoms, so that nothing is resampled."""
    return make_model(folds=3)


@pytest.mark.integration
@pytest.mark.usefixtures("nowhere")
class TestEquality:
    def test_with_nnunetv2_ensemble(self, on_its_grid: Path, ct: Path, tmp_path: Path) -> None:
        expected = _by_nnunet(on_its_grid, ct, tmp_path / "theirs", 3)
        assert 0.005 < expected.mean() < 0.5, "the comparison says something"
        assert np.array_equal(_ours(on_its_grid, ct, tmp_path / "ours"), expected)

    def test_of_a_study_with_nnfemur_predict(self, on_its_grid: Path, ct: Path, tmp_path: Path) -> None:
        """The study's own job, run as it types it."""
        from nnunet_femur.cli import app
        from nnunet_femur.study.jobs import jobs_of
        from nnunet_femur.study.study_file import read_study

        file = tmp_path / "study.yaml"
        content = {"folder": "work", "dataset": {"phantoms": 6}, "plans": {"nnUNetPlans": {"preset": "small"}}}
        file.write_text(yaml.safe_dump({**content, "folds": [0, 1, 2], "methods": [TRAINER], "test": "ensemble"}))
        study = read_study(file)
        images = study.raw / "imagesTs"
        images.mkdir(parents=True)
        shutil.copy(ct, images / "L9_0000.nrrd")
        shutil.copytree(on_its_grid, study.results / DATASET / on_its_grid.name)
        (job,) = (job for job in jobs_of(study).values() if job.stage == "predict")
        assert job.partial is not None
        result = CliRunner().invoke(app, job.command[1:])
        assert result.exit_code == 0, result.output
        assert np.array_equal(_voxels(job.partial / "L9.nrrd"), _ours(on_its_grid, ct, tmp_path / "ours"))
        record = json.loads((job.partial / "predictions.json").read_text())
        assert record["model"]["folds"] == ["0", "1", "2"]


@pytest.mark.integration
class TestMergedHeads:
    """Fine-tuned networks, with a channel for each of TotalSegmentator's classes."""

    @pytest.fixture(scope="class")
    def finetuned(self, transferred: Path, dummy_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Three folds: the source, and the source with random changes."""
        from nnunet_femur.trainers import FemurFinetuneTrainer
        from nnunet_femur.weights import load_checkpoint

        preprocessed = transferred / "nnUNet_preprocessed" / "Dataset002_Femur"
        plans = json.loads((preprocessed / "nnUNetPlans.json").read_text())
        plans["continue_training"] = False
        # On the grid of the phantoms, so that nothing is resampled.
        own = plans["configurations"]["3d_fullres"]
        own["spacing"] = [10.0, 6.0, 6.0]
        own.pop(FINGERPRINT_KEY)
        description = json.loads((preprocessed / "dataset.json").read_text())
        with pytest.MonkeyPatch.context() as patch:
            for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
                patch.setenv(name, str(transferred / name))
            patch.setenv("nnUNet_compile", "f")
            trainer = FemurFinetuneTrainer(plans, "3d_fullres", 0, description, torch.device("cpu"))
            trainer.initialize()
        source = load_checkpoint(next(dummy_model.glob("Dataset294*/*/fold_0/checkpoint_final.pth")))["network_weights"]
        from nnunet_femur.training.finetune.weight_transfer import load_source

        load_source(trainer.bare_network, source, heads=True)
        folder = tmp_path_factory.mktemp("finetuned") / "Dataset002_Femur" / f"{FINETUNE}__nnUNetPlans__3d_fullres"
        weights = trainer.bare_network.state_dict()
        for fold in range(3):
            torch.manual_seed(fold)
            changed = {
                name: value * (1 + 0.15 * fold * torch.randn_like(value)) if value.is_floating_point() else value
                for name, value in weights.items()
            }
            (folder / f"fold_{fold}").mkdir(parents=True)
            checkpoint = {
                "network_weights": changed,
                "init_args": {"configuration": "3d_fullres", "plans": plans},
                "trainer_name": FINETUNE,
                "inference_allowed_mirroring_axes": None,
            }
            torch.save(checkpoint, folder / f"fold_{fold}" / "checkpoint_final.pth")
        (folder / "plans.json").write_text(json.dumps(trainer.plans_manager.plans))
        (folder / "dataset.json").write_text(json.dumps(description))
        return folder

    @pytest.mark.parametrize("in_slabs", [True, False])
    def test_equals_nnunetv2_ensemble(
        self, finetuned: Path, ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_slabs: bool
    ) -> None:
        """Voxel for voxel, by our own export and by nnU-Net's."""
        if not in_slabs:
            monkeypatch.setattr("nnunet_femur.prediction.export.is_default", lambda _: False)
        expected = _by_nnunet(finetuned, ct, tmp_path / "theirs", 3)
        single = _voxels(tmp_path / "theirs" / "0" / "case.nrrd")
        assert expected.sum() > 100
        assert np.count_nonzero(single != expected) > 20, "the folds differ"
        assert np.array_equal(_ours(finetuned, ct, tmp_path / "ours"), expected)

    def test_both_ways_give_one_deviation(
        self, finetuned: Path, ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found: list[Any] = []
        for name, in_slabs in (("slabs", True), ("whole", False)):
            if not in_slabs:
                monkeypatch.setattr("nnunet_femur.prediction.export.is_default", lambda _: False)
            predict([ct], finetuned, tmp_path / name, options=Options(uncertainty=True), device="cpu")
            found.append(_voxels(next((tmp_path / name).glob("*_uncertainty.nrrd"))))
        assert found[0].max() > 0.05
        assert np.abs(found[0] - found[1]).max() < 5e-3
