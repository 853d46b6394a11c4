"""Trainers inside nnU-Net, on a tiny planned dataset: recipe, folds, steps and checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.refusing import refused
from tests.training.making import make_trainer

pytestmark = pytest.mark.integration

TRAINERS = ("FemurUnetResNet34Trainer", "FemurScratchTrainer")


@pytest.mark.usefixtures("nnunet")
class TestRecipeAndFolds:
    @pytest.mark.parametrize("name", TRAINERS)
    def test_the_recipe_of_the_plans_is_obeyed(self, name: str) -> None:
        trainer = make_trainer(name, epochs=4, learning_rate=0.5, optimizer="AdamW")
        trainer.initialize()
        assert trainer.num_epochs == 4
        assert isinstance(trainer.optimizer, torch.optim.AdamW)
        assert trainer.optimizer.param_groups[0]["lr"] == 0.5
        assert trainer.num_iterations_per_epoch == 2

    @pytest.mark.parametrize("name", TRAINERS)
    def test_a_wrong_recipe_is_refused_with_the_name_of_the_plans(self, name: str) -> None:
        with refused("invalid-recipe", "nnUNetPlans.json", "epoch"):
            make_trainer(name, epoch=4)

    @pytest.mark.parametrize("name", TRAINERS)
    def test_a_fold_that_is_not_there_is_refused(self, name: str) -> None:
        trainer = make_trainer(name, fold=6)
        trainer.initialize()
        with refused("invalid-folds", "6"):
            trainer.do_split()

    @pytest.mark.parametrize("name", TRAINERS)
    def test_the_split_is_that_of_the_dataset(self, name: str) -> None:
        trainer = make_trainer(name, fold=5)
        trainer.initialize()
        written = json.loads((Path(trainer.preprocessed_dataset_folder_base) / "splits_final.json").read_text())[5]
        assert trainer.do_split() == (written["train"], written["val"])

    @pytest.mark.parametrize(("name", "configuration"), [*((t, "3d_fullres") for t in TRAINERS), (TRAINERS[0], "2d")])
    def test_a_step_lowers_the_loss_of_its_batch(self, name: str, configuration: str) -> None:
        trainer = make_trainer(name, configuration)
        trainer.on_train_start()
        batch = next(trainer.dataloader_train)
        losses = [float(trainer.train_step(batch)["loss"]) for _ in range(8)]
        assert losses[-1] < losses[0]
        assert np.isfinite(losses).all()


@pytest.mark.usefixtures("nnunet")
class TestSliceTrainer:
    def test_batches_hold_slices_of_the_recipe(self) -> None:
        trainer = make_trainer("FemurUnetResNet34Trainer", slice_size=[32, 64], batch_size=6)
        trainer.on_train_start()
        batch = next(trainer.dataloader_train)
        assert batch["data"].shape == (6, 1, 32, 64)
        assert batch["target"].shape == (6, 1, 32, 64)
        assert set(np.unique(batch["target"])) <= {0, 1}

    def test_every_slice_shows_femur_when_asked(self) -> None:
        trainer = make_trainer("FemurUnetResNet34Trainer", foreground_fraction=1.0, batch_size=32)
        trainer.on_train_start()
        assert (next(trainer.dataloader_train)["target"].sum((1, 2, 3)) > 0).all()

    def test_an_epoch_of_the_study_is_one_pass(self) -> None:
        trainer = make_trainer(
            "FemurUnetResNet34Trainer",
            iterations_per_epoch=None,
            batch_size=4,
            foreground_fraction=1.0,
        )
        trainer.on_train_start()
        slices = 0
        for case in trainer.do_split()[0]:
            mask = trainer.dataset_class(trainer.preprocessed_dataset_folder, [case]).load_case(case)[1][:][0] == 1
            slices += sum(int(mask.any(axis=tuple({0, 1, 2} - {axis})).sum()) for axis in range(3))
        assert trainer.num_iterations_per_epoch == -(-slices // 4)

    def test_augmentation_is_nnunets(self) -> None:
        trainer = make_trainer("FemurUnetResNet34Trainer", augment=True, mirror=True)
        trainer.on_train_start()
        assert next(trainer.dataloader_train)["data"].shape[2:] == (64, 64)
        assert trainer.inference_allowed_mirroring_axes == (0, 1, 2)

    def test_planes_follow_nnunets_transposition(self) -> None:
        from nnunet_femur.recipe.hyperparameters import SliceRecipe
        from nnunet_femur.training.slices.slice_geometry import plane_axes

        class Transposed:
            transpose_forward = (1, 0, 2)  # y, z, x

        assert plane_axes(SliceRecipe().planes, Transposed()) == (1, 0, 2)
        assert plane_axes(("sagittal",), Transposed()) == (2,)

    def test_pretrained_weights_are_loaded_once(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        asked = []
        monkeypatch.setattr(
            "nnunet_femur.training.slices.slice_trainer.load_encoder_weights",
            lambda *args, **kwargs: asked.append(args[1:]),
        )
        trainer = make_trainer("FemurUnetResNet34Trainer", encoder_weights="imagenet")
        trainer.on_train_start()
        assert asked == [("ResNet34", "imagenet")]
        trainer.save_checkpoint(str(tmp_path / "checkpoint.pth"))
        resumed = make_trainer("FemurUnetResNet34Trainer", encoder_weights="imagenet")
        resumed.load_checkpoint(str(tmp_path / "checkpoint.pth"))
        resumed.on_train_start()
        assert len(asked) == 1
