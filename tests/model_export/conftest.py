"""Trained models of this package whose networks find the femur of a phantom: those of a trained dummy."""

from __future__ import annotations

import json
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nnunet_femur.model_export import stock_prediction, stock_target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

DATASET = "Dataset001_Femur"


@pytest.fixture(scope="session")
def make_trained(dummy_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a model folder as training does, with the weights of the dummy of TotalSegmentator's model."""

    def make(trainer: str = "FemurFinetuneTrainer", *, folds: int = 1, residual: bool = False, **source: Any) -> Path:
        """`source` changes the plans' entry about the fine-tuned model.

        With `residual`, the network is a residual encoder with random weights that call half of a phantom femur.
        """
        import torch
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        from nnunet_femur import trainers
        from nnunet_femur.consistency import fingerprint
        from nnunet_femur.dataset.nnunet_names import READER_WITH_REORIENT
        from nnunet_femur.records import sha256
        from nnunet_femur.weights import load_checkpoint, open_model
        from nnunet_femur.weights.models import femur_entry

        model = open_model(dummy_model, femur_entry())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            configuration = PlansManager(model.plans).get_configuration("3d_fullres").configuration
        plans = {key: value for key, value in model.plans.items() if key != "note"} | {
            "dataset_name": DATASET,
            "image_reader_writer": READER_WITH_REORIENT,
            "configurations": {"3d_fullres": configuration},
        }
        if residual:
            _make_residual(configuration["architecture"])
        configuration["femur_recipe"] = {"epochs": 7}
        if "Finetune" in trainer:
            configuration["femur_source"] = {
                "dataset": model.dataset,
                "fast": False,
                "model": model.folder.name,
                "outputs": 24,
                "femur_rows": [7, 8],
                "checkpoint_sha256": sha256(model.checkpoint),
            } | source
            configuration["femur_guard"] = fingerprint(plans, configuration)
        dataset = {
            "channel_names": {"0": "CT"},
            "labels": {"background": 0, "femur": 1},
            "numTraining": 4,
            "file_ending": ".nrrd",
            "overwrite_image_reader_writer": READER_WITH_REORIENT,
        }
        manager = PlansManager(plans)
        network = getattr(trainers, trainer).build_network_architecture(
            manager, manager.get_configuration("3d_fullres"), 1, 2, enable_deep_supervision=False
        )
        trained = {} if residual else load_checkpoint(model.checkpoint)["network_weights"]
        folder = tmp_path_factory.mktemp("trained") / DATASET / f"{trainer}__nnUNetPlans__3d_fullres"
        for fold in range(folds):
            weights = {name: _of_source(name, own, trained) for name, own in network.state_dict().items()}
            if residual:
                weights = _balanced(network, configuration["patch_size"], seed=fold)
            # Folds that differ.
            weights = {
                name: each + 0.002 * fold if each.is_floating_point() else each for name, each in weights.items()
            }
            (folder / f"fold_{fold}").mkdir(parents=True)
            checkpoint = {
                "network_weights": weights,
                "optimizer_state": {},
                "init_args": {"configuration": "3d_fullres", "plans": plans},
                "trainer_name": trainer,
                "inference_allowed_mirroring_axes": None if "Finetune" in trainer else (2,),
                "logging": {"ema_fg_dice": [np.float64(0.5)]},
            }
            torch.save(checkpoint, folder / f"fold_{fold}" / "checkpoint_final.pth")
        (folder / "plans.json").write_text(json.dumps(plans))
        (folder / "dataset.json").write_text(json.dumps(dataset))
        return folder

    return make


def _make_residual(architecture: dict[str, Any]) -> None:
    """Replace nnU-Net's plain encoder by its residual one."""
    architecture["network_class_name"] = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
    kwargs = architecture["arch_kwargs"]
    del kwargs["n_conv_per_stage"]
    kwargs["n_blocks_per_stage"] = [1] * kwargs["n_stages"]


def _balanced(network: torch.nn.Module, patch_size: list[int], *, seed: int) -> dict[str, torch.Tensor]:
    """Random weights, with biases that call half of a random field femur."""
    import torch

    torch.manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.Conv3d | torch.nn.ConvTranspose3d):
                torch.nn.init.kaiming_normal_(module.weight)
        logits = network.eval()(torch.randn(1, 1, *patch_size))[0]
        network.decoder.seg_layers[-1].bias[1] -= torch.median(logits[1] - logits[0])
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _of_source(name: str, own: torch.Tensor, trained: dict[str, torch.Tensor]) -> torch.Tensor:
    """The dummy's tensor of a name; of new heads, the rows of background and left femur."""
    found = trained.get(name.replace(".head.", "."))
    if found is None or found.shape == own.shape:
        return own if found is None else found
    return found[[0, 7]].clone()


@pytest.fixture(scope="session")
def finetuned(make_trained: Callable[..., Path]) -> Path:
    """A fine-tuned network with all 24 output channels of its source."""
    return make_trained()


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """nnU-Net's predictor in this process, where this package's trainers are not found either."""
    for name in [name for name in os.environ if name.lower().startswith("nnunet")]:
        monkeypatch.delenv(name)

    def run(request: dict[str, Any]) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["", json.dumps(request)])
        stock_prediction.main()
        return 0, ""

    monkeypatch.setattr(stock_target, "_run", run)
