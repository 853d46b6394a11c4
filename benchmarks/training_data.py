"""Data, plans and dummy weights of the training benchmark; our trainers, and stock nnU-Net's with the same networks.

Everything is below one folder, and is made once.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_femur.dataset.environment import variables
from nnunet_femur.dataset.nnunet_names import FULLRES, PLANS_NAME, SLICES_2D
from nnunet_femur.networks.registry import build_slice_network
from nnunet_femur.recipe.trainer_names import TRAINERS

if TYPE_CHECKING:
    import torch

    from nnunet_femur.training.base import FemurTrainer

DATASET = "Dataset001_Femur"
TRANSFERRED = "TotalSegmentatorPlans"
PLANS = {"slices": (DATASET, PLANS_NAME), "volumes": (DATASET, TRANSFERRED)}
"""Dataset and plans that the trainers of slices and of volumes use."""

DONE = "training_data.json"


@dataclass(frozen=True)
class Size:
    """Size of data, networks and epochs.

    Attributes:
        cases: Number of phantoms.
        size_zyx: Voxels of a phantom.
        spacing_mm_zyx: Spacing of a phantom in mm.
        dummy: Arguments of :func:`~nnunet_femur.testing.write_dummy_weights`.
        plan: Arguments of :func:`~nnunet_femur.planning.plan`.
        slice_edge: Rows and columns of a training slice in pixels.
        slices: Number of slices in a batch.
        steps: Number of training steps in an epoch.
        validation_steps: Number of validation steps in an epoch.
        repetitions: Steps on a ready batch that a median is taken of.
    """

    cases: int = 6
    size_zyx: tuple[int, int, int] = (300, 336, 256)
    spacing_mm_zyx: tuple[float, float, float] = (2.0, 0.74, 0.74)
    dummy: dict[str, Any] = field(default_factory=lambda: {"features": 32, "patch": 128})
    plan: dict[str, Any] = field(default_factory=dict)
    slice_edge: int = 256
    slices: int = 16
    steps: int = 100
    validation_steps: int = 20
    repetitions: int = 15


TRUE_SIZE = Size()
"""TotalSegmentator's topology (32 features, windows of 128 voxels, 1.5 mm), and slices of 256 x 256 pixels."""

SMALL = Size(
    cases=8,
    size_zyx=(150, 168, 128),
    spacing_mm_zyx=(4.0, 1.5, 1.5),
    dummy={"spacing_mm": 3.0, "features": 8, "patch": 64},
    slice_edge=64,
    steps=8,
    validation_steps=2,
    repetitions=7,
)
"""Networks that two CPU cores can train: 8 features and windows of 64 voxels, and slices of 64 x 64 pixels."""

TINY = Size(
    cases=8,
    size_zyx=(48, 32, 32),
    spacing_mm_zyx=(10.0, 6.0, 6.0),
    dummy={"spacing_mm": 8.0, "features": 4, "patch": 16},
    plan={"preset": "small"},
    slice_edge=32,
    slices=4,
    steps=4,
    validation_steps=1,
    repetitions=3,
)
"""Seconds on two CPU cores; for tests."""

SIZES = {"true-size": TRUE_SIZE, "small": SMALL, "tiny": TINY}


def prepare(folder: Path, size: Size, source: Path | None = None) -> None:
    """Make phantoms, convert and plan them, and set nnU-Net's environment.

    Args:
        folder: Folder of everything that is written.
        size: Size of the data.
        source: CTs and masks to use instead of phantoms.
    """
    for name, value in variables(folder).items():
        os.environ[name] = value
        if name.startswith("nnUNet_") and Path(value).is_absolute():
            Path(value).mkdir(parents=True, exist_ok=True)
    os.environ["TOTALSEG_WEIGHTS_PATH"] = str(folder / "weights")
    if (folder / DONE).is_file():
        PLANS.update(json.loads((folder / DONE).read_text()))
        return
    from nnunet_femur.conversion import convert
    from nnunet_femur.planning import plan
    from nnunet_femur.testing import write_dummy_weights, write_phantoms

    jobs = max(1, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2))
    if source is None:
        source = folder / "phantoms"
        write_phantoms(source, cases=size.cases, seed=0, size_zyx=size.size_zyx, spacing_mm_zyx=size.spacing_mm_zyx)
    write_dummy_weights(folder / "weights", tasks=("femur",), iterations=0, **size.dummy)
    if not (folder / "nnUNet_raw" / DATASET / "conversion.json").is_file():
        convert(source, dataset_id=1, raw=folder / "nnUNet_raw")
    plan(1, configurations=(SLICES_2D, FULLRES), pretrained=False, jobs=jobs, **size.plan)
    plan(1, source="totalsegmentator", plans_name=TRANSFERRED, jobs=jobs, **size.plan)
    (folder / DONE).write_text(json.dumps(PLANS))


def make_ours(name: str, size: Size, device: torch.device) -> FemurTrainer:
    """Return one of our trainers on fold 0, with three epochs of the benchmark's steps; not initialized."""
    family = _family(name)
    recipe: dict[str, Any] = {
        "epochs": 3,
        "iterations_per_epoch": size.steps,
        "validation_iterations": size.validation_steps,
    }
    if family == "slices":
        recipe |= {"batch_size": size.slices, "slice_size": [size.slice_edge] * 2, "encoder_weights": None}
    plans, description = _plans(family), _description(family)
    written = plans["configurations"][FULLRES].get("femur_recipe", {})
    # The recipes of the preset "small" switch augmentation off; only its sizes are wanted here.
    plans["configurations"][FULLRES]["femur_recipe"] = {
        name: {**{key: value for key, value in written.get(name, {}).items() if key != "augment"}, **recipe}
    }
    trainer: FemurTrainer = _find(name)(plans, FULLRES, 0, description, device)
    return trainer


def make_stock(ours: FemurTrainer, size: Size, device: torch.device) -> nnUNetTrainer:
    """Return stock nnU-Net's trainer for the network of one of ours, initialized.

    Volumes: nnUNetTrainer with the same plans. Its network has two output channels, as after `-pretrained_weights`.
    Slices: nnUNetTrainer with the network of segmentation-models-pytorch itself, on nnU-Net's configuration 2d.
    Optimizer and loss are those of our trainer, so that only trainer, network wrapper and loader differ.
    """
    family = _family(type(ours).__name__)
    plans, description = _plans(family), _description(family)
    stock: nnUNetTrainer
    if family == "slices":
        plans["configurations"][SLICES_2D] |= {"patch_size": [size.slice_edge] * 2, "batch_size": size.slices}
        names = {"architecture": ours.architecture, "encoder": ours.encoder}
        stock = type("StockSliceTrainer", (_StockSliceTrainer,), names)(plans, SLICES_2D, 0, description, device)
        stock.enable_deep_supervision = False
    else:
        stock = nnUNetTrainer(plans, FULLRES, 0, description, device)
    stock.num_epochs, stock.num_iterations_per_epoch = 3, size.steps
    stock.num_val_iterations_per_epoch = size.validation_steps
    stock.initialize()
    stock.optimizer = ours.build_optimizer(stock.network.parameters())
    stock.lr_scheduler.optimizer = stock.optimizer
    stock.loss = ours.loss
    return stock


class _StockSliceTrainer(nnUNetTrainer):
    """Stock nnU-Net's trainer of a network of segmentation-models-pytorch, as a user would write it."""

    architecture: str
    encoder: str

    @classmethod
    def build_network_architecture(  # type: ignore[override]
        cls,
        plans_manager: Any,  # noqa: ARG003
        configuration_manager: Any,  # noqa: ARG003
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,  # noqa: ARG003, FBT001, FBT002
    ) -> torch.nn.Module:
        return build_slice_network(
            cls.architecture, cls.encoder, in_channels=num_input_channels, classes=num_output_channels
        )

    def set_deep_supervision_enabled(self, enabled: bool) -> None:  # noqa: FBT001
        """Do nothing, since the network has one output."""

    def _do_i_compile(self) -> bool:
        return False


def _find(name: str) -> type:
    import nnunet_femur.trainers

    found: type = getattr(nnunet_femur.trainers, name)
    return found


def _family(trainer: str) -> str:
    return "slices" if TRAINERS[trainer].in_slices else "volumes"


def _plans(family: str) -> dict[str, Any]:
    dataset, name = PLANS[family]
    plans: dict[str, Any] = json.loads((_preprocessed(dataset) / f"{name}.json").read_text())
    plans["continue_training"] = False
    return plans


def _description(family: str) -> dict[str, Any]:
    description: dict[str, Any] = json.loads((_preprocessed(PLANS[family][0]) / "dataset.json").read_text())
    return description


def _preprocessed(dataset: str) -> Path:
    return Path(os.environ["nnUNet_preprocessed"]) / dataset
