"""Pretrained weights, the record of a training, precision, mirroring and refusals, through nnU-Net's own code."""

from __future__ import annotations

import json
import multiprocessing
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from written_files import TRAINING, fields_of

from nnunet_femur.networks.precision import is_held_to_float32
from tests.refusing import refused
from tests.training.making import PHANTOMS, TRANSFERRED, Threads, make_trainer

if TYPE_CHECKING:
    from nnunet_femur.training.base import FemurTrainer

pytestmark = pytest.mark.integration

SCRATCH, SLICES, FINETUNE = "FemurScratchTrainer", "FemurUnetMobileNetV3Trainer", "FemurFinetuneTrainer"
FINETUNE_PAPER = "FemurFinetunePaperTrainer"
SHORT = {"epochs": 1, "iterations_per_epoch": 1, "validation_iterations": 1}
SLICE = {"batch_size": 3, "slice_size": [32, 32]}


@pytest.fixture(autouse=True)
def results(transfer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A results folder for each test, and threads instead of processes."""
    assert transfer.is_dir()
    monkeypatch.setattr(multiprocessing, "get_context", lambda *_: Threads)
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "results"))
    return tmp_path / "results"


def _made(name: str, configuration: str = "3d_fullres", *, description: dict | None = None, **recipe: Any) -> Any:
    small = {} if name in (SCRATCH, FINETUNE, FINETUNE_PAPER) else SLICE
    dataset = TRANSFERRED if name in (FINETUNE, FINETUNE_PAPER) else PHANTOMS
    return make_trainer(name, configuration, dataset=dataset, description=description, **{**SHORT, **small, **recipe})


def _trained(name: str, **recipe: Any) -> FemurTrainer:
    trainer = _made(name, **recipe)
    trainer.run_training()
    return trainer


def _load(trainer: FemurTrainer, weights: Path) -> None:
    """As nnUNetv2_train does for ``-pretrained_weights``."""
    from nnunetv2.run.run_training import maybe_load_checkpoint

    maybe_load_checkpoint(trainer, False, False, str(weights))


def _checkpoint(trainer: FemurTrainer) -> Path:
    return Path(trainer.output_folder) / "checkpoint_final.pth"


class TestPretrainedWeights:
    """Weights of ``-pretrained_weights``, passed on as in nnUNetv2_train."""

    @pytest.mark.parametrize("name", [SCRATCH, SLICES])
    def test_a_training_starts_from_them(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It does not load, or search for, those of ImageNet in the recipe."""
        earlier = _trained(name)
        weights = _checkpoint(earlier).rename(tmp_path / "weights.pth")
        names_of_imagenet = {"encoder_weights": "imagenet"} if name == SLICES else {}
        monkeypatch.setattr(
            "nnunet_femur.training.slices.slice_trainer.load_encoder_weights", lambda *_, **__: pytest.fail("loaded")
        )
        later = _made(name, **names_of_imagenet)
        _load(later, weights)
        later.on_train_start()
        assert not later.resumed
        expected = torch.load(weights, weights_only=False)["network_weights"]
        found = later.bare_network.state_dict()
        # nnU-Net leaves its own segmentation layers new.
        kept = {key for key in expected if ".seg_layers." not in key}
        assert all(torch.equal(found[key], expected[key]) for key in kept)

    def test_without_them_the_encoder_has_those_of_the_recipe(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loaded = []
        monkeypatch.setattr(
            "nnunet_femur.training.slices.slice_trainer.load_encoder_weights",
            lambda *passed, **_: loaded.append(passed[2]),
        )
        _made(SLICES, encoder_weights="imagenet").on_train_start()
        assert loaded == ["imagenet"]

    @pytest.mark.parametrize("name", [FINETUNE, FINETUNE_PAPER])
    def test_fine_tuning_has_its_own(
        self, name: str, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The option is refused at the start of the command; loaded weights are refused at the start of training."""
        weights = _checkpoint(_trained(name)).rename(tmp_path / "weights.pth")
        other = _made(name)
        _load(other, weights)
        with refused("invalid-option", "-pretrained_weights"):
            other.on_train_start()
        monkeypatch.setattr(sys, "argv", ["nnUNetv2_train", "2", "3d_fullres", "0", "-pretrained_weights", "w.pth"])
        monkeypatch.setenv("nnUNet_results", str(tmp_path / "none"))
        with refused("invalid-option", "-pretrained_weights"):
            _made(name)
        assert not (tmp_path / "none").exists()


class TestRecord:
    @pytest.mark.parametrize("name", [SCRATCH, SLICES, FINETUNE])
    def test_validating_again_leaves_it_alone(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from nnunetv2.run.run_training import maybe_load_checkpoint

        monkeypatch.setattr(sys, "argv", ["nnUNetv2_train", "trains"])
        trainer = _trained(name)
        record = Path(trainer.output_folder) / "run.json"
        before = record.read_bytes()
        content = json.loads(before)
        known = fields_of(TRAINING, "run.json")
        assert list(content)[: len(known)] == known
        assert set(content) - set(known) <= {"choice", "plane_weights"}
        assert content["command"] == ["nnUNetv2_train", "trains"]
        assert content["epochs_done"] == content["epochs_planned"] == 1
        assert {name: len(curve) for name, curve in content["curves"].items()} == {
            "train_loss": 1, "validation_loss": 1, "pseudo_dice": 1, "learning_rate": 1, "seconds": 1,
        }  # fmt: skip
        assert content["final_network"] == ("lowest_loss" if name == SLICES else "last")
        assert content["processes"] == 1
        monkeypatch.setattr(sys, "argv", ["nnUNetv2_train", "validates"])
        for npz in (False, True):
            again = _made(name)
            maybe_load_checkpoint(again, continue_training=False, validation_only=True)
            again.perform_actual_validation(npz)
            assert record.read_bytes() == before
        assert list((record.parent / "validation").glob("*.npz"))
        ended = _made(name)
        maybe_load_checkpoint(ended, continue_training=True, validation_only=False)
        ended.run_training()
        assert record.read_bytes() == before
        # Earlier versions left no record of a training that was stopped during its validation.
        record.unlink()
        again.perform_actual_validation()
        assert json.loads(record.read_bytes())["epochs_done"] == 1


class TestPrecision:
    @pytest.mark.parametrize("name", [SCRATCH, SLICES, FINETUNE])
    @pytest.mark.parametrize("half", [True, False])
    def test_half_is_false(self, name: str, half: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """Under autocast, as in nnU-Net on CUDA; here by its placeholder for other devices."""
        for module in ("training.nnUNetTrainer.nnUNetTrainer", "inference.predict_from_raw_data"):
            monkeypatch.setattr(f"nnunetv2.{module}.dummy_context", lambda: torch.autocast("cpu", dtype=torch.bfloat16))
        monkeypatch.setattr("nnunet_femur.networks.three_planes.calculates_in_bfloat16", lambda: True)
        # Narrower slices are never computed in bfloat16.
        trainer = _made(name, half=half, **({"slice_size": [32, 64]} if name == SLICES else {}))
        trainer.initialize()
        assert is_held_to_float32(trainer.network) != half
        seen: dict[str, set[torch.dtype]] = {}
        phase = "training"
        kinds = (torch.nn.Conv2d, torch.nn.Conv3d)
        for module in trainer.network.modules():
            if isinstance(module, kinds):
                module.register_forward_hook(lambda *passed: seen.setdefault(phase, set()).add(passed[-1].dtype))
        trainer.on_train_start()
        trainer.train_step(next(trainer.dataloader_train))
        phase = "validation of the epoch"
        with torch.no_grad():
            trainer.on_validation_epoch_start()
            trainer.validation_step(next(trainer.dataloader_val))
        if not half:
            phase = "validation"
            trainer.perform_actual_validation()
        assert set(seen) == {"training", "validation of the epoch"} | (set() if half else {"validation"})
        assert all(dtypes == {torch.bfloat16 if half else torch.float32} for dtypes in seen.values())

    @pytest.mark.parametrize("half", [True, False])
    def test_it_is_recorded(self, half: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """Validation of slices on a processor that has bfloat16; training on processors is in float32."""
        monkeypatch.setattr("nnunet_femur.networks.three_planes.calculates_in_bfloat16", lambda: True)
        trainer = _trained(SLICES, half=half)
        content = json.loads((Path(trainer.output_folder) / "run.json").read_text())
        assert content["precision"] == {"training": "float32", "validation": "bfloat16" if half else "float32"}
        assert content["recipe"]["half"] == half

    def test_prediction_with_the_model_is_held_too(self) -> None:
        trainer = _made(SCRATCH, half=False)
        built = type(trainer).build_network_architecture(
            trainer.plans_manager, trainer.configuration_manager, 1, 2, enable_deep_supervision=False
        )
        assert is_held_to_float32(built)


class TestMirrors:
    """Prediction mirrors only along axes that training mirrors."""

    @pytest.mark.parametrize(
        ("name", "configuration", "recipe", "expected"),
        [
            (SCRATCH, "3d_fullres", {"mirror": True, "augment": True}, (0, 1, 2)),
            (SCRATCH, "3d_fullres", {"mirror": True, "augment": False}, None),
            (SCRATCH, "3d_fullres", {"mirror": False, "augment": True}, None),
            (SCRATCH, "2d", {"mirror": True, "augment": True}, (0, 1)),
            (FINETUNE, "3d_fullres", {"mirror": True, "augment": True}, None),
            (SLICES, "3d_fullres", {"mirror": True, "augment": False}, None),
            (SLICES, "3d_fullres", {"mirror": True, "augment": True}, (0, 1, 2)),
            (SLICES, "3d_fullres", {"mirror": True, "augment": True, "planes": ["axial"]}, (1, 2)),
            (SLICES, "3d_fullres", {"mirror": True, "augment": True, "planes": ["axial"], "neighbours": 1}, (0, 1, 2)),
            (SLICES, "3d_fullres", {"mirror": True, "augment": True, "planes": ["sagittal"]}, (0, 1)),
            (SLICES, "3d_fullres", {"mirror": True, "augment": True, "planes": ["axial+coronal"]}, (2,)),
            (SLICES, "3d_fullres", {"mirror": True, "augment": True, "planes": ["axial", "axial+coronal"]}, (2,)),
            (
                SLICES,
                "3d_fullres",
                {"mirror": True, "augment": True, "planes": ["axial+coronal", "axial-coronal"]},
                (0, 1, 2),
            ),
            (SLICES, "2d", {"mirror": True, "augment": True}, (0, 1)),
            ("FemurHeadUnetMobileNetV3Trainer", "3d_fullres", {"mirror": True, "augment": True}, (1, 2)),
        ],
    )
    def test_axes(self, name: str, configuration: str, recipe: dict, expected: Any) -> None:
        from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform

        trainer = _made(name, configuration, **recipe)
        trainer.on_train_start()
        assert trainer.inference_allowed_mirroring_axes == expected
        loader = trainer.dataloader_train.data_loader
        mirrors = [found for found in loader.transforms.transforms if isinstance(found, MirrorTransform)]
        assert bool(mirrors) == (recipe["mirror"] and recipe["augment"])
        if "neighbours" in recipe:
            assert loader.window.reversed_neighbours


class TestRefusals:
    """Refusals before nnU-Net creates a folder for the results."""

    @pytest.mark.parametrize(
        ("name", "description", "recipe", "code", "named"),
        [
            (SLICES, {"labels": {"background": 0, "bone": [1, 2], "femur": 2}}, {}, "unsupported", "regions"),
            (SLICES, {"labels": {"background": 0, "femur": 1, "ignore": 2}}, {}, "unsupported", "ignore"),
            (
                SCRATCH,
                {"labels": {"background": 0, "bone": [1, 2], "femur": 2}},
                {"loss": "cross_entropy"},
                "unsupported",
                "regions",
            ),
            (FINETUNE, {"labels": {"background": 0, "femur": 1, "hip": 2}}, {}, "unsupported", FINETUNE_PAPER),
            (
                "FemurHeadUnetMobileNetV3Trainer",
                {},
                {"foreground_fraction": 0},
                "invalid-recipe",
                "foreground_fraction",
            ),
            (
                SLICES,
                {},
                {"foreground_fraction": 0, "iterations_per_epoch": None},
                "invalid-recipe",
                "foreground_fraction",
            ),
            (SLICES, {}, {"planes": ["axial", "axial"]}, "invalid-recipe", "planes"),
        ],
    )
    def test_data_and_recipe(
        self, name: str, description: dict, recipe: dict, code: str, named: str, results: Path
    ) -> None:
        if any(isinstance(value, list) for value in description.get("labels", {}).values()):
            description = {**description, "regions_class_order": [1, 2]}
        with refused(code, named):
            _made(name, description=description, **recipe)
        assert not results.exists()

    def test_a_batch_of_one_slice(self) -> None:
        """Its deepest features are one value for each channel, which batch normalisation cannot normalise."""
        with refused("invalid-recipe", "batch_size"):
            _made(SLICES, batch_size=1).on_train_start()
        _made(SLICES, batch_size=1, slice_size=[64, 64]).on_train_start()
        with refused("invalid-recipe", "batch_size"):
            _made("FemurUnetDeepLabV3Trainer", batch_size=1, slice_size=[64, 64]).on_train_start()

    def test_more_gpus_than_patches_in_a_batch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        trainer = _made(SCRATCH)
        monkeypatch.setattr(type(trainer), "ranks", 5)
        with refused("invalid-option", "5 GPUs"):
            trainer.initialize()

    def test_no_femur_at_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        trainer = _made(SLICES)
        trainer.initialize()
        monkeypatch.setattr("nnunet_femur.training.slices.slice_data_trainer._masks", lambda _: iter(()))
        with refused("invalid-recipe", PHANTOMS):
            trainer.on_train_start()

    def test_an_ignore_label_is_ignored_by_cross_entropy(self) -> None:
        labels = {"labels": {"background": 0, "femur": 1, "ignore": 2}}
        trainer = _made(SCRATCH, description=labels, loss="cross_entropy")
        trainer.initialize()
        assert trainer.loss.loss.ignore_index == 2
