"""Tests that every trainer has to pass inside nnU-Net; the tests of a trainer inherit them in a few lines."""

from __future__ import annotations

import multiprocessing
import pickle
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
import torch

from nnunet_femur.dataset.environment import variables
from nnunet_femur.networks.registry import ARCHITECTURES, ENCODERS
from nnunet_femur.recipe.trainer_names import TRAINERS
from nnunet_femur.training.run_record import run_record
from tests.conftest import ONE_MACHINE
from tests.training.making import PHANTOMS, Threads, make_trainer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nnunet_femur.training.base import FemurTrainer


class BaseTrainerTester:
    """Tests of one trainer, which is trained for a step, saved and validated.

    Attributes:
        trainer_name: Name of the trainer.
        takes_slices: False for trainers of three-dimensional networks.
        recipe: Hyper-parameters of the trainer.
        dataset: Dataset in nnUNet_preprocessed.
    """

    trainer_name: ClassVar[str]
    takes_slices: ClassVar[bool] = True
    recipe: ClassVar[dict[str, Any]] = {}
    dataset: ClassVar[str] = PHANTOMS

    @pytest.fixture(scope="class")
    def environment(self, planned: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
        """nnU-Net's environment with a results folder of its own, and threads instead of processes."""
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
        """The trainer after one step."""
        trainer = make_trainer(self.trainer_name, dataset=self.dataset, **self._small())
        trainer.on_train_start()
        trainer.losses = [float(trainer.train_step(next(trainer.dataloader_train))["loss"])]
        trainer.save_checkpoint(str(Path(trainer.output_folder) / "checkpoint_final.pth"))
        return trainer

    @pytest.fixture(scope="class")
    def loaded(self, trained: FemurTrainer) -> FemurTrainer:
        """Another trainer, resumed from the checkpoint of the first."""
        other = make_trainer(self.trainer_name, dataset=self.dataset, **self._small())
        other.load_checkpoint(str(Path(trained.output_folder) / "checkpoint_final.pth"))
        return other

    def test_nnunet_finds_a_class_that_can_be_pickled(self, trained: FemurTrainer) -> None:
        assert type(trained).__module__.startswith("nnunet_femur.trainers.")
        assert pickle.loads(pickle.dumps(type(trained))) is type(trained)  # noqa: S301
        assert type(trained).__doc__ != type(trained).__mro__[1].__doc__, "it has a docstring of its own"

    def test_record_of_method(self, trained: FemurTrainer) -> None:
        record = run_record(trained, command=["nnUNetv2_train"])
        assert record["works_in_slices"] is TRAINERS[self.trainer_name].in_slices
        assert record["ends_only"] is TRAINERS[self.trainer_name].ends_only

    def test_every_parameter_learns(self, trained: FemurTrainer) -> None:
        assert np.isfinite(trained.losses).all()
        # The loss at the coarsest resolution, which has a layer of its own, has the weight 0 in nnU-Net.
        unused = "decoder.seg_layers.0."
        learning = {name: value.grad for name, value in trained.network.named_parameters() if unused not in name}
        assert [name for name, gradient in learning.items() if gradient is None] == []

    def test_slices_of_odd_size(self, trained: FemurTrainer) -> None:
        if not self.takes_slices:
            pytest.skip("its network takes volumes only")
        trained.network.eval()
        with torch.inference_mode():
            assert trained.network(torch.randn(2, 1, 33, 47)).shape == (2, 2, 33, 47)

    def test_volumes(self, trained: FemurTrainer) -> None:
        size = (5, 33, 47) if self.takes_slices else tuple(trained.configuration_manager.patch_size)
        trained.network.eval()
        with torch.inference_mode():
            answer = trained.network(torch.randn(1, 1, *size))
        # nnU-Net's own networks have outputs at several resolutions in training.
        answer = answer[0] if isinstance(answer, (list, tuple)) else answer
        assert answer.shape == (1, 2, *size)
        assert torch.isfinite(answer).all()

    def test_a_checkpoint_brings_back_the_state(self, trained: FemurTrainer, loaded: FemurTrainer) -> None:
        left = {path.name for path in Path(trained.output_folder).glob("*checkpoint*")}
        assert left == {"checkpoint_final.pth"}, "no unfinished files"
        assert loaded.resumed
        assert loaded.current_epoch == trained.current_epoch + 1
        state = loaded.network.state_dict()
        assert all(torch.equal(state[key], value) for key, value in trained.network.state_dict().items())

    def test_a_resumed_training_takes_the_same_step(self, trained: FemurTrainer, loaded: FemurTrainer) -> None:
        """The checkpoint contains the optimizer's moments, and pretrained weights do not replace the learned ones."""
        loaded.on_train_start()
        batch = next(loaded.dataloader_train)
        weights = []
        for trainer in (trained, loaded):
            torch.manual_seed(0)
            # As at the start of an epoch in nnU-Net: number and step determine the learning rate.
            trainer.current_epoch = 1
            trainer.on_train_epoch_start()
            trainer.train_step(batch)
            weights.append(torch.cat([value.detach().flatten() for value in trainer.network.parameters()]))
        assert torch.allclose(*weights, atol=1e-6)

    def test_prediction_equals_validation(
        self, trained: FemurTrainer, planned: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From the model's folder and a raw CT, as in nnUNetv2_predict, without network access."""
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
        assert np.ptp(predicted[1]) > 0, "the prediction is not constant"
        # Validation reads a case that was stored in lower precision; prediction preprocesses it again.
        assert np.abs(validated - predicted).mean() < 1e-3
        assert np.mean((validated[1] > 0.5) != (predicted[1] > 0.5)) < 1e-2


def slice_testers(
    prefix: str, recipes: Mapping[tuple[str, str], dict[str, Any]] | None = None
) -> dict[str, type[BaseTrainerTester]]:
    """Return a test class for each pair of architecture and encoder, by its name.

    Args:
        prefix: Prefix of the trainers' names, "Femur" or "FemurHead".
        recipes: Hyper-parameters of pairs.
    """
    testers = {}
    for architecture in ARCHITECTURES:
        for encoder in ENCODERS:
            name = f"{prefix}{architecture}{encoder}Trainer"
            own = {"trainer_name": name, "recipe": (recipes or {}).get((architecture, encoder), {})}
            testers[f"Test{name}"] = type(f"Test{name}", (BaseTrainerTester,), own)
    return testers
