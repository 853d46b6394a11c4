"""The trainers of three-dimensional networks: the tests of every trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from tests.trainers.trainer_tester import BaseTrainerTester
from tests.training.making import TRANSFERRED, make_trainer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration


class TestScratch(BaseTrainerTester):
    trainer_name = "FemurScratchTrainer"
    takes_slices = False

    @pytest.mark.usefixtures("nnunet")
    @pytest.mark.parametrize("augment", [True, False])
    def test_augments_as_the_recipe_sets(self, augment: bool) -> None:
        from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform

        trainer = make_trainer(self.trainer_name, augment=augment)
        trainer.on_train_start()
        loader = trainer.dataloader_train.data_loader
        assert any(isinstance(found, SpatialTransform) for found in loader.transforms.transforms) == augment
        assert (tuple(loader.patch_size) == tuple(trainer.configuration_manager.patch_size)) == (not augment)
        batch = next(trainer.dataloader_train)
        assert tuple(batch["data"].shape[2:]) == tuple(trainer.configuration_manager.patch_size)


class _Transferred(BaseTrainerTester):
    """Trainers on data and plans of ``nnfemur plan --from totalsegmentator``, with dummy weights."""

    takes_slices = False
    dataset = TRANSFERRED

    @pytest.fixture(scope="class", autouse=True)
    def weights(self, transferred: Path, dummy_model: Path) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TOTALSEG_WEIGHTS_PATH", str(dummy_model))
            yield


class TestFinetune(_Transferred):
    trainer_name = "FemurFinetuneTrainer"
    # test_finetune_trainer.py tests the average and the warm-up of the heads.
    recipe: ClassVar = {"average_decay": 0.0, "warmup_epochs": 0}


class TestFinetunePaper(_Transferred):
    trainer_name = "FemurFinetunePaperTrainer"
