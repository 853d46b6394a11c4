"""Fine-tuning of dummy weights: start, refusals, and equal results after an interruption."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from nnunet_femur.consistency import FINGERPRINT_FILE, FINGERPRINT_KEY
from nnunet_femur.dataset.environment import variables
from tests.conftest import ONE_MACHINE
from tests.killing import kill_once
from tests.refusing import refused
from tests.training.making import TRANSFERRED as DATASET
from tests.training.making import make_trainer

if TYPE_CHECKING:
    from nnunet_femur.training.finetune.finetune_trainer import FinetuneTrainer

pytestmark = pytest.mark.integration

OURS, PAPERS = "FemurFinetuneTrainer", "FemurFinetunePaperTrainer"
PREPROCESSED = Path("nnUNet_preprocessed") / DATASET


def _trainer(name: str = OURS, *, plans_name: str = "nnUNetPlans", **recipe: Any) -> FinetuneTrainer:
    return make_trainer(name, dataset=DATASET, plans_name=plans_name, **recipe)


def _source_weights(dummy_model: Path) -> dict[str, torch.Tensor]:
    from nnunet_femur.weights import load_checkpoint

    return load_checkpoint(next(dummy_model.glob("Dataset294*/*/fold_0/checkpoint_final.pth")))["network_weights"]


def _predict(model: Path, images: list[Path], *, checkpoint: str = "checkpoint_final.pth", fold: str = "0") -> list:
    """Masks by nnU-Net's predictor, on the CTs' own grids."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(model), (fold,), checkpoint)
    # The source's own reader takes NIfTI only; its orientation is this one's.
    predictor.plans_manager.plans["image_reader_writer"] = "SimpleITKIOWithReorient"
    reader = predictor.plans_manager.image_reader_writer_class()
    return [predictor.predict_single_npy_array(*reader.read_images([str(path)])) for path in images]


class TestStepZero:
    @pytest.fixture(scope="class")
    def started(self, transferred: Path, dummy_model: Path) -> Path:
        """The model's folder after no training."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {
                **variables(transferred),
                **ONE_MACHINE,
                "TOTALSEG_WEIGHTS_PATH": str(dummy_model),
            }.items():
                patch.setenv(name, value)
            trainer = _trainer()
            trainer.on_train_start()
            trainer.save_checkpoint(str(Path(trainer.output_folder) / "checkpoint_final.pth"))
        return Path(trainer.output_folder_base)

    @pytest.fixture(scope="class")
    def images(self, transferred: Path) -> list[Path]:
        return sorted((transferred / "nnUNet_raw" / DATASET).glob("images*/*.nrrd"))

    @pytest.fixture(scope="class")
    def unions(self, dummy_model: Path, images: list[Path]) -> list[np.ndarray]:
        """The source's own predictions, left or right, through overlapping windows, on the CTs' own grids."""
        from nnunet_femur.weights import open_model
        from nnunet_femur.weights.models import femur_entry

        source = open_model(dummy_model, femur_entry())
        found = [np.isin(mask, source.femur_channels) for mask in _predict(source.folder, images)]
        assert len(found) == 8
        assert min(union.sum() for union in found) > 500, "a source without predictions would prove nothing"
        return found

    def test_nnunetv2_predict_equals_the_source(
        self, transfer: Path, started: Path, images: list[Path], unions: list[np.ndarray], tmp_path: Path
    ) -> None:
        """Voxel for voxel, with probabilities, through the command."""
        assert started.is_dir()
        (tmp_path / "in").mkdir()
        for image in images:
            (tmp_path / "in" / image.name).symlink_to(image)
        where = ("-i", tmp_path / "in", "-o", tmp_path / "out", "-d", "2", "-c", "3d_fullres", "-tr", OURS, "-f", "0")
        subprocess.run(
            ["nnUNetv2_predict", *where, "-device", "cpu", "-npp", "1", "-nps", "1", "--save_probabilities"],
            check=True,
            capture_output=True,
        )
        for image, union in zip(images, unions, strict=True):
            written = tmp_path / "out" / image.name.replace("_0000", "")
            ours = sitk.GetArrayFromImage(sitk.DICOMOrient(sitk.ReadImage(str(written)), "RAS"))
            probabilities = np.load(written.with_suffix(".npz"))["probabilities"]
            assert probabilities.shape[0] == 2
            assert np.allclose(probabilities.sum(0), 1, atol=1e-3)
            assert np.array_equal(ours == 1, union), image.name

    def test_without_probabilities_it_is_the_same_voxel_for_voxel(
        self, transfer: Path, started: Path, images: list[Path], unions: list[np.ndarray]
    ) -> None:
        for image, ours, union in zip(images, _predict(started, images), unions, strict=True):
            assert np.array_equal(ours == 1, union), image.name

    @pytest.mark.parametrize("in_slabs", [True, False])
    def test_nnfemur_predict_equals_the_source(
        self,
        transfer: Path,
        started: Path,
        images: list[Path],
        unions: list[np.ndarray],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        in_slabs: bool,
    ) -> None:
        """By its own export and, for plans with another resampling, by nnU-Net's."""
        from nnunet_femur.prediction import predict

        if not in_slabs:
            monkeypatch.setattr("nnunet_femur.prediction.export.is_default", lambda _: False)

        predict(images[:2], started, tmp_path, folds=("0",), device="cpu")
        for image, union in zip(images[:2], unions, strict=False):
            written = sitk.ReadImage(str(next(tmp_path.glob(f"{image.name.removesuffix('_0000.nrrd')}*.nrrd"))))
            ours = sitk.GetArrayFromImage(sitk.DICOMOrient(written, "RAS")) == 1
            assert np.mean(ours != union) < 1e-4, image.name

    def test_the_papers_keeps_all_but_the_last_layer(self, transfer: Path, dummy_model: Path) -> None:
        trainer = _trainer(PAPERS)
        trainer.on_train_start()
        weights = trainer.bare_network.state_dict()
        source = _source_weights(dummy_model)
        for name, tensor in source.items():
            if ".seg_layers." not in name:
                assert torch.equal(weights[name], tensor), name
        assert weights["decoder.seg_layers.0.weight"].shape[0] == 2


class TestTraining:
    def test_only_the_heads_move_while_they_warm_up(self, transfer: Path) -> None:
        trainer = _trainer(warmup_epochs=1, ramp_iterations=0)
        trainer.on_train_start()
        before = {name: tensor.clone() for name, tensor in trainer.bare_network.named_parameters()}

        def moved() -> set[bool]:
            now = trainer.bare_network.named_parameters()
            return {".seg_layers." in name for name, tensor in now if not torch.equal(tensor, before[name])}

        trainer.on_train_epoch_start()
        trainer.train_step(next(trainer.dataloader_train))
        assert moved() == {True}
        trainer.current_epoch = 1
        trainer.on_train_epoch_start()
        trainer.train_step(next(trainer.dataloader_train))
        assert moved() == {True, False}

    @pytest.mark.parametrize(
        ("layers", "trained"),
        [("decoder", {"decoder", "head"}), ("adapters", {"decoder", "encoder", "head"}), ("all", None)],
    )
    def test_only_the_layers_of_the_recipe_move(self, transfer: Path, layers: str, trained: set[str] | None) -> None:
        from nnunet_femur.training.finetune.parameter_groups import group_of

        trainer = _trainer(trained_layers=layers, warmup_epochs=0, ramp_iterations=0)
        trainer.on_train_start()
        before = {name: value.clone() for name, value in trainer.bare_network.state_dict().items()}
        trainer.on_train_epoch_start()
        for _ in range(2):
            trainer.train_step(next(trainer.dataloader_train))
        now = trainer.bare_network.state_dict()
        assert now.keys() == before.keys()
        names = [name for name, value in before.items() if not torch.equal(value, now[name])]
        moved = {group_of(name).split()[0] for name in names}
        assert moved == (trained or {"encoder", "decoder", "head"})
        body = {name.rpartition(".")[2] for name in names if "seg_layers" not in name}
        assert body == ({"weight"} if layers == "adapters" else {"weight", "bias"})

    def test_the_average_is_what_is_saved(self, transfer: Path, tmp_path: Path) -> None:
        """Decay 0.5 from the source's weights: half of the way after one step, three quarters of two after two."""
        trainer = _trainer(warmup_epochs=0, ramp_iterations=0, average_decay=0.5)
        trainer.on_train_start()
        name = "encoder.stages.0.0.convs.0.conv.weight"
        raw = [trainer.bare_network.state_dict()[name].clone()]
        trainer.on_train_epoch_start()
        for _ in range(2):
            trainer.train_step(next(trainer.dataloader_train))
            raw.append(trainer.bare_network.state_dict()[name].clone())
        trainer.save_checkpoint(str(tmp_path / "checkpoint.pth"))
        saved = torch.load(tmp_path / "checkpoint.pth", weights_only=False)
        expected = 0.5 * (0.5 * raw[0] + 0.5 * raw[1]) + 0.5 * raw[2]
        assert torch.allclose(saved["network_weights"][name], expected, atol=1e-7)
        assert torch.equal(saved["femur_raw_weights"][name], raw[2])

    def test_mirrored_are_left_and_right_only(self, transfer: Path) -> None:
        trainer = _trainer(mirror=True)
        *_, mirror_axes = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        assert mirror_axes == (2,), "arrays are z, y, x"
        assert trainer.inference_allowed_mirroring_axes is None

    def test_augmentation_deforms(self, transfer: Path) -> None:
        from nnunet_femur.training.finetune.elastic_deformation import ElasticTransform

        for name in (OURS, PAPERS):
            trainer = _trainer(name, augment=True, elastic_fraction=0.3)
            trainer.on_train_start()
            transforms = trainer.dataloader_train.data_loader.transforms.transforms
            spatial = next(found for found in transforms if isinstance(found, ElasticTransform))
            assert spatial.elastic_fraction == 0.3
            assert spatial.elastic_reach == 0.05 * 16
            assert spatial.p_rotation == 0.2, "nnU-Net's own"


class TestRefusals:
    """Refusals before anything is trained, with the command that solves the problem."""

    def test_without_weights(self, transfer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
        with refused("no-weights", "nnfemur weights download"):
            _trainer().on_train_start()

    @pytest.mark.parametrize("name", [OURS, PAPERS])
    def test_plans_of_the_dataset_itself(self, nnunet: Path, name: str) -> None:
        from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

        folder = nnunet / "nnUNet_preprocessed" / "Dataset001_Femur"
        plans, description = (json.loads((folder / f).read_text()) for f in ("nnUNetPlans.json", "dataset.json"))
        with refused("no-plans", "--from totalsegmentator"):
            recursive_find_trainer_class_by_name(name)(plans, "3d_fullres", 0, description, torch.device("cpu"))

    def test_other_weights_than_those_of_the_plans(
        self, transfer: Path, dummy_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.copytree(dummy_model, tmp_path / "weights")
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path / "weights"))
        file = next((tmp_path / "weights").glob("Dataset294*/*/fold_0/checkpoint_final.pth"))
        checkpoint = torch.load(file, weights_only=False)
        checkpoint["network_weights"]["decoder.seg_layers.0.bias"] += 1
        torch.save(checkpoint, file)
        with refused("inconsistent", file.name):
            _trainer().on_train_start()

    def test_the_studys_mistake(self, transfer: Path) -> None:
        """Data of the dataset's own plans, their folder renamed to what the source's plans expect."""
        base = transfer / PREPROCESSED
        plans = json.loads((base / "nnUNetPlans.json").read_text())
        plans["configurations"]["3d_fullres"]["data_identifier"] = "Renamed_3d_fullres"
        (base / "Renamed.json").write_text(json.dumps(plans))
        own = transfer / "nnUNet_preprocessed" / "Dataset001_Femur" / "nnUNetPlans_3d_fullres"
        shutil.copytree(own, base / "Renamed_3d_fullres")
        for sealed in (True, False):
            if not sealed:
                (base / "Renamed_3d_fullres" / FINGERPRINT_FILE).unlink()
            for name in (OURS, PAPERS):
                trainer = _trainer(name, plans_name="Renamed")
                with refused("inconsistent", "nnfemur plan -d 2 --from totalsegmentator") as ended:
                    trainer.on_train_start()
                assert ("  spacing_mm  " in str(ended.value)) == sealed
        trainer = _trainer("FemurScratchTrainer", plans_name="Renamed")
        with refused("inconsistent", FINGERPRINT_FILE):
            trainer.on_train_start()

    def test_prediction_under_other_plans(self, transfer: Path, tmp_path: Path) -> None:
        trainer = _trainer()
        trainer.on_train_start()
        model = tmp_path / "model"
        (model / "fold_0").mkdir(parents=True)
        trainer.save_checkpoint(str(model / "fold_0" / "checkpoint_final.pth"))
        for name in ("plans.json", "dataset.json"):
            shutil.copy(Path(trainer.output_folder_base) / name, model)
        image = sorted((transfer / "nnUNet_raw" / DATASET / "imagesTs").glob("*.nrrd"))[:1]
        assert len(_predict(model, image)) == 1
        plans = json.loads((model / "plans.json").read_text())
        configuration = plans["configurations"]["3d_fullres"]
        configuration["spacing"] = [9.0, 8.0, 8.0]
        (model / "plans.json").write_text(json.dumps(plans))
        with refused("inconsistent", "plans.json"):
            _predict(model, image)
        configuration[FINGERPRINT_KEY]["spacing_mm"] = [9.0, 8.0, 8.0]
        (model / "plans.json").write_text(json.dumps(plans))
        with refused("inconsistent", "checkpoint"):
            _predict(model, image)

    def test_resuming_under_other_plans(self, transfer: Path, tmp_path: Path) -> None:
        trainer = _trainer("FemurScratchTrainer")
        trainer.on_train_start()
        trainer.save_checkpoint(str(tmp_path / "checkpoint.pth"))
        other = _trainer("FemurScratchTrainer")
        other.plans_manager.plans["foreground_intensity_properties_per_channel"]["0"]["mean"] += 1
        with refused("inconsistent", "intensities of channel 0: mean"):
            other.load_checkpoint(str(tmp_path / "checkpoint.pth"))


def test_a_source_with_a_residual_encoder(
    transfer: Path, dummy_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nnU-Net's ResEnc network in the source's place, from plans to a step: its stem is transferred and trained."""
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    from nnunet_femur.planning import plan

    weights = tmp_path / "weights"
    shutil.copytree(dummy_model, weights)
    model = next(weights.glob("Dataset294*/*__3d_fullres"))
    plans = json.loads((model / "plans.json").read_text())
    checkpoint = torch.load(model / "fold_0" / "checkpoint_final.pth", weights_only=False)
    architecture = {
        "network_class_name": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
        "arch_kwargs": {
            "n_stages": 3,
            "features_per_stage": [4, 8, 16],
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * 3,
            "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
            "n_blocks_per_stage": [1, 2, 2],
            "n_conv_per_stage_decoder": [1, 1],
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    old_format = {"UNet_class_name", "UNet_base_num_features", "n_conv_per_stage_encoder", "n_conv_per_stage_decoder"}
    old_format |= {"num_pool_per_axis", "pool_op_kernel_sizes", "conv_kernel_sizes", "unet_max_num_features"}
    for configuration in plans["configurations"].values():
        for key in old_format & set(configuration):
            del configuration[key]
        configuration["architecture"] = architecture
    (model / "plans.json").write_text(json.dumps(plans))
    source = get_network_from_plans(
        architecture["network_class_name"],
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        1,
        24,
        deep_supervision=True,
    ).state_dict()
    torch.save({**checkpoint, "network_weights": source}, model / "fold_0" / "checkpoint_final.pth")
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(weights))

    plan(2, source="totalsegmentator", preset="small", plans_name="ResEncPlans", jobs=1)
    trainer = _trainer(plans_name="ResEncPlans", layer_decay=0.5, warmup_epochs=0, ramp_iterations=0)
    trainer.on_train_start()
    stem = "encoder.stem.convs.0.conv.weight"
    assert torch.equal(trainer.bare_network.state_dict()[stem], source[stem])
    trainer.on_train_epoch_start()
    trainer.train_step(next(trainer.dataloader_train))
    assert not torch.equal(trainer.bare_network.state_dict()[stem], source[stem])
    rates = {group["name"]: group["lr"] for group in trainer.optimizer.param_groups}
    assert rates["encoder 0"] == pytest.approx(3e-4 * 0.5**4)


def test_killed_and_resumed_equals_undisturbed(transfer: Path, tmp_path: Path) -> None:
    """The command as typed, killed after the epoch in which the body joined, then with --c."""
    file = transfer / PREPROCESSED / "nnUNetPlans.json"
    plans = json.loads(file.read_text())
    plans["configurations"]["3d_fullres"]["femur_recipe"][OURS] = {"average_decay": 0.9, "body_factor": 0.5}
    file.write_text(json.dumps(plans))
    command = ["nnUNetv2_train", DATASET, "3d_fullres", "0", "-tr", OURS, "-device", "cpu"]
    ends = {}
    for disturbed in (False, True):
        environment = {**os.environ, "nnUNet_results": str(tmp_path / str(disturbed))}
        fold = tmp_path / str(disturbed) / DATASET / f"{OURS}__nnUNetPlans__3d_fullres" / "fold_0"
        if disturbed:
            kill_once((fold / "checkpoint_latest.pth").exists, command, environment=environment)
            assert not (fold / "checkpoint_final.pth").exists()
        again = ["--c"] if disturbed else []
        subprocess.run([*command, *again], env=environment, check=True, capture_output=True)
        ends[disturbed] = torch.load(fold / "checkpoint_final.pth", weights_only=False)
        assert (fold / "run.json").exists()
    assert ends[True]["current_epoch"] == ends[False]["current_epoch"] == 3
    rates = [[group["lr"] for group in end["optimizer_state"]["param_groups"]] for end in ends.values()]
    assert rates[0] == rates[1]
    for key in ("network_weights", "femur_raw_weights"):
        for name, tensor in ends[False][key].items():
            assert torch.allclose(ends[True][key][name].float(), tensor.float(), atol=1e-6), (key, name)
