"""What every trainer must do inside nnU-Net; the tests of a trainer inherit it in a few lines."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import socket
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
import torch

from nnunet_femur.dataset.environment import variables
from nnunet_femur.recipe.trainer_names import TRAINERS
from nnunet_femur.training.run_record import run_record
from tests.conftest import ONE_MACHINE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.training.base import FemurTrainer

DATASET = "Dataset001_Femur"


def make_trainer(
    name: str,
    configuration: str = "3d_fullres",
    *,
    fold: Any = 0,
    recipe: dict | None = None,
    dataset: str = DATASET,
) -> FemurTrainer:
    """A trainer as nnUNetv2_train makes it, by nnU-Net's own look-up."""
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    preprocessed = Path(os.environ["nnUNet_preprocessed"]) / dataset
    plans = json.loads((preprocessed / "nnUNetPlans.json").read_text())
    plans["continue_training"] = False
    plans["configurations"][configuration]["femur_recipe"][name] = recipe or {}
    description = json.loads((preprocessed / "dataset.json").read_text())
    return recursive_find_trainer_class_by_name(name)(plans, configuration, fold, description, torch.device("cpu"))


class BaseTrainerTester:
    """Subclasses name the trainer; those of networks that take no slices say so.

    One trainer is trained for a step, saved and validated; the tests look at what it leaves behind.
    """

    trainer_name: ClassVar[str]
    takes_slices: ClassVar[bool] = True
    recipe: ClassVar[dict[str, Any]] = {}
    dataset: ClassVar[str] = DATASET

    @pytest.fixture(scope="class")
    def environment(self, planned: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
        """nnU-Net's environment with results of its own, and threads where nnU-Net starts processes to write files."""

        class Threads:
            Pool = ThreadPool

        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**variables(planned), **ONE_MACHINE}.items():
                patch.setenv(name, value)
            patch.setenv("nnUNet_results", str(tmp_path_factory.mktemp("results")))
            patch.setattr(multiprocessing, "get_context", lambda *_: Threads)
            yield patch

    def _small(self) -> dict[str, Any]:
        return {"batch_size": 2, "slice_size": [32, 32], **self.recipe} if self.takes_slices else self.recipe

    @pytest.fixture(scope="class")
    def trained(self, environment: pytest.MonkeyPatch) -> FemurTrainer:
        """After one step and its validation."""
        trainer = make_trainer(self.trainer_name, recipe=self._small(), dataset=self.dataset)
        trainer.on_train_start()
        trainer.losses = [float(trainer.train_step(next(trainer.dataloader_train))["loss"])]
        trainer.save_checkpoint(str(Path(trainer.output_folder) / "checkpoint_final.pth"))
        return trainer

    @pytest.fixture(scope="class")
    def loaded(self, trained: FemurTrainer) -> FemurTrainer:
        """Another one, which goes on from the first one's checkpoint."""
        other = make_trainer(self.trainer_name, recipe=self._small(), dataset=self.dataset)
        other.load_checkpoint(str(Path(trained.output_folder) / "checkpoint_final.pth"))
        return other

    def test_nnunet_finds_a_class_that_can_be_pickled(self, trained: FemurTrainer) -> None:
        assert type(trained).__module__.startswith("nnunet_femur.trainers.")
        assert pickle.loads(pickle.dumps(type(trained))) is type(trained)  # noqa: S301
        assert type(trained).__doc__ != type(trained).__mro__[1].__doc__, "it says what it is"

    def test_the_record_tells_how_it_works(self, trained: FemurTrainer) -> None:
        record = run_record(trained, command=["nnUNetv2_train"])
        assert record["works_in_slices"] is TRAINERS[self.trainer_name].in_slices
        assert record["ends_only"] is TRAINERS[self.trainer_name].ends_only

    def test_every_parameter_learns(self, trained: FemurTrainer) -> None:
        assert np.isfinite(trained.losses).all()
        # nnU-Net gives the loss at the coarsest resolution, which has a layer of its own, no weight.
        unused = "decoder.seg_layers.0."
        learning = {name: value.grad for name, value in trained.network.named_parameters() if unused not in name}
        assert [name for name, gradient in learning.items() if gradient is None] == []

    def test_slices_of_odd_size(self, trained: FemurTrainer) -> None:
        if not self.takes_slices:
            pytest.skip("its network takes volumes alone")
        trained.network.eval()
        with torch.inference_mode():
            assert trained.network(torch.randn(2, 1, 33, 47)).shape == (2, 2, 33, 47)

    def test_volumes(self, trained: FemurTrainer) -> None:
        size = (5, 33, 47) if self.takes_slices else tuple(trained.configuration_manager.patch_size)
        trained.network.eval()
        with torch.inference_mode():
            answer = trained.network(torch.randn(1, 1, *size))
        # nnU-Net's own networks answer at several resolutions while they train.
        answer = answer[0] if isinstance(answer, (list, tuple)) else answer
        assert answer.shape == (1, 2, *size)
        assert torch.isfinite(answer).all()

    def test_a_checkpoint_brings_back_the_state(self, trained: FemurTrainer, loaded: FemurTrainer) -> None:
        left = {path.name for path in Path(trained.output_folder).glob("*checkpoint*")}
        assert left == {"checkpoint_final.pth"}, "nothing half written"
        assert loaded.resumed
        assert loaded.current_epoch == trained.current_epoch + 1
        state = loaded.network.state_dict()
        assert all(torch.equal(state[key], value) for key, value in trained.network.state_dict().items())

    def test_a_resumed_training_takes_the_same_step(self, trained: FemurTrainer, loaded: FemurTrainer) -> None:
        """The optimizer's moments are in the checkpoint, and no pretrained weights replace what was learnt."""
        loaded.on_train_start()
        batch = next(loaded.dataloader_train)
        weights = []
        for trainer in (trained, loaded):
            torch.manual_seed(0)
            # As nnU-Net begins an epoch: its number and the step's place in it set the learning rate.
            trainer.current_epoch = 1
            trainer.on_train_epoch_start()
            trainer.train_step(batch)
            weights.append(torch.cat([value.detach().flatten() for value in trainer.network.parameters()]))
        assert torch.allclose(*weights, atol=1e-6)

    def test_prediction_equals_validation(
        self, trained: FemurTrainer, planned: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From the model's folder and a raw CT, as nnUNetv2_predict does, without a connection."""
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        trained.save_checkpoint(str(Path(trained.output_folder) / "checkpoint_final.pth"))
        case = trained.do_split()[1][0]
        monkeypatch.setattr(trained, "do_split", lambda: ([], [case]))
        trained.perform_actual_validation(save_probabilities=True)
        validated = np.load(Path(trained.output_folder) / "validation" / f"{case}.npz")["probabilities"]

        def refuse(*_: Any, **__: Any) -> None:
            pytest.fail("a connection was opened")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
        predictor.initialize_from_trained_model_folder(trained.output_folder_base, (0,))
        image = planned / "nnUNet_raw" / self.dataset / "imagesTr" / f"{case}_0000.nrrd"
        array, properties = trained.plans_manager.image_reader_writer_class().read_images([str(image)])
        _, predicted = predictor.predict_single_npy_array(array, properties, save_or_return_probabilities=True)
        assert validated.shape == predicted.shape
        assert np.ptp(predicted[1]) > 0, "it says something"
        # Validation reads a case that was stored in lower precision, prediction makes it anew.
        assert np.abs(validated - predicted).mean() < 1e-3
        assert np.mean((validated[1] > 0.5) != (predicted[1] > 0.5)) < 1e-2
