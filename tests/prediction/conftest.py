"""Models with random weights: tests check the processing of their predictions, which are arbitrary."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK as sitk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATASET = "Dataset001_Femur"
TRAINER = "FemurScratchTrainer"


@pytest.fixture(scope="session")
def make_model(planned: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a model folder as nnU-Net's training does, with random weights that call a tenth of a phantom femur."""

    def make(
        *,
        folds: int = 1,
        configuration: str = "3d_fullres",
        labels: dict[str, int] | None = None,
        source_rows: tuple[int, ...] = (),
        **changes: Any,
    ) -> Path:
        """`changes` are made to the plans; ``spacing`` to the configuration's.

        With `source_rows`, the network is one of fine-tuning: it has five channels, these two of the femur.
        """
        import torch
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        from nnunet_femur import trainers

        preprocessed = planned / "nnUNet_preprocessed" / DATASET
        plans = json.loads((preprocessed / "nnUNetPlans.json").read_text())
        if "spacing" in changes:
            plans["configurations"][configuration]["spacing"] = changes.pop("spacing")
        plans |= changes
        trainer = "FemurFinetuneTrainer" if source_rows else TRAINER
        if source_rows:
            plans["configurations"][configuration]["femur_source"] = {"outputs": 5, "femur_rows": list(source_rows)}
        # Models of nnU-Net alone, whose plans anybody may change.
        for own in plans["configurations"].values():
            own.pop("femur_guard", None)
        dataset = json.loads((preprocessed / "dataset.json").read_text())
        dataset |= {"labels": labels} if labels else {}
        femur = source_rows or tuple(range(1, len(dataset["labels"])))
        folder = tmp_path_factory.mktemp("model") / DATASET / f"{trainer}__nnUNetPlans__{configuration}"
        for fold in range(folds):
            torch.manual_seed(fold)
            manager = PlansManager(plans)
            network = getattr(trainers, trainer).build_network_architecture(
                manager,
                manager.get_configuration(configuration),
                1,
                len(dataset["labels"]),
                enable_deep_supervision=False,
            )
            _balance(network, manager.get_configuration(configuration).patch_size, femur)
            (folder / f"fold_{fold}").mkdir(parents=True)
            checkpoint = {
                "network_weights": network.state_dict(),
                "init_args": {"configuration": configuration, "plans": plans},
                "trainer_name": trainer,
                "inference_allowed_mirroring_axes": (1,),
                "logging": {"ema_fg_dice": [np.float64(0.5)]},
            }
            torch.save(checkpoint, folder / f"fold_{fold}" / "checkpoint_final.pth")
        (folder / "plans.json").write_text(json.dumps(plans))
        (folder / "dataset.json").write_text(json.dumps(dataset))
        return folder

    return make


def _balance(network: Any, patch_size: list[int], femur: tuple[int, ...]) -> None:
    """Move the last layer's biases until a tenth of a smooth random field is femur."""
    import torch

    with torch.no_grad():
        field = torch.nn.functional.avg_pool2d(torch.randn(1, 1, *patch_size).flatten(0, -3), 5, 1, 2) * 5
        answer = network.eval()(field.reshape(1, 1, *patch_size))[0]
        rest = [channel for channel in range(len(answer)) if channel not in femur]
        bias = network.decoder.seg_layers[-1]
        bias = getattr(bias, "head", bias).bias
        for channel in femur:
            ahead = answer[channel] - answer[rest].amax(0)
            bias[channel] -= torch.quantile(ahead.flatten()[:100_000], 0.9)


@pytest.fixture(scope="session")
def model(make_model: Callable[..., Path]) -> Path:
    """A model of one fold, whose grid is finer than that of the phantoms."""
    return make_model(spacing=[8.0, 5.0, 5.0])


@pytest.fixture(scope="session")
def ensemble(make_model: Callable[..., Path]) -> Path:
    """A model of three folds."""
    return make_model(folds=3, spacing=[8.0, 5.0, 5.0])


@pytest.fixture(scope="session")
def ct(planned: Path) -> Path:
    """A phantom's CT."""
    return sorted((planned / "nnUNet_raw" / DATASET / "imagesTr").glob("*.nrrd"))[0]


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment in which nothing of nnU-Net is set."""
    import os

    for name in [name for name in os.environ if name.lower().startswith("nnunet")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("nnUNet_compile", "f")


def voxels(path: Path) -> np.ndarray:
    """The voxels of a file, z, y, x."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
