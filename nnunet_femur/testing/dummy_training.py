"""Training of a dummy model on a few cases, with nnU-Net's preprocessing, network and loss."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.dataset.nnunet_names import FULLRES
from nnunet_femur.progress import SILENT, Progress, track

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray


LEARNING_RATE = 1e-2
"""Adam's learning rate in the first step."""

UNSEEN_BIAS = -8.0
"""Bias of output channels whose class no training case has; the network never predicts these classes."""

CENTRED = 0.5
"""Fraction of the patches that are centred on a labelled voxel."""


@dataclass(frozen=True)
class Volume:
    """One preprocessed case.

    Attributes:
        data: Normalised CT (1, z, y, x).
        labels: Labels (z, y, x).
        labelled: Indices of labelled voxels (n, 3).
    """

    data: NDArray[np.float32]
    labels: NDArray[np.int64]
    labelled: NDArray[np.int64]


def preprocess(
    cases: Sequence[tuple[NDArray[np.float32], NDArray[np.uint8], tuple[float, float, float]]],
    plans: dict[str, Any],
    dataset_json: dict[str, Any],
) -> list[Volume]:
    """Resample and normalise cases with nnU-Net's preprocessor.

    Args:
        cases: HU, labels and spacing of each, see :func:`~nnunet_femur.testing.dummy_plans.read_case`.
        plans: The plans.
        dataset_json: Content of ``dataset.json``.
    """
    manager, configuration = _managers(plans)
    preprocessor = configuration.preprocessor_class(verbose=False)
    volumes = []
    for hu, labels, spacing_mm in cases:
        data, seg, _ = preprocessor.run_case_npy(
            hu[None], labels[None].astype(np.int16), {"spacing": spacing_mm}, manager, configuration, dataset_json
        )
        padded = [_padded(array, configuration.patch_size) for array in (data, np.maximum(seg, 0))]
        volumes.append(
            Volume(padded[0].astype(np.float32), padded[1][0].astype(np.int64), np.argwhere(padded[1][0] > 0))
        )
    return volumes


def train(
    volumes: Sequence[Volume],
    plans: dict[str, Any],
    *,
    channels: int,
    iterations: int,
    seed: int,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Train the network of the plans.

    Args:
        volumes: The preprocessed cases.
        plans: The plans.
        channels: Number of output channels of the network.
        iterations: Number of training steps; 0 for an untrained network.
        seed: Seed of the initial weights and of the patches.
        device: Device of PyTorch, such as "cpu" or "cuda".
        progress: Receives the progress.

    Returns:
        A checkpoint with nnU-Net's keys, except those of a trainer.
    """
    import torch

    _, configuration = _managers(plans)
    # Most classes do not occur in these cases. A step without their channels takes a fraction of the time.
    seen = np.union1d(0, np.concatenate([np.unique(volume.labels) for volume in volumes]))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = _network(configuration, len(seen)).to(device)
        loss_function = _loss(configuration)
        optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (1 - step / max(1, iterations)) ** 0.9)
        rng = np.random.default_rng(seed)
        losses = []
        network.train()
        for _ in track(range(iterations), "Train the dummy", iterations, progress=progress):
            data, target = _batch(volumes, configuration, seen, rng)
            optimizer.zero_grad()
            loss = loss_function(network(data.to(device)), [level.to(device) for level in target])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 12)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        weights = _with_all_channels(network.state_dict(), seen, channels)
    return {
        "network_weights": weights,
        "optimizer_state": optimizer.state_dict(),
        "grad_scaler_state": None,
        "logging": _logging(losses),
        "_best_ema": np.float64(0),
        "current_epoch": 1,
    }


def _managers(plans: dict[str, Any]) -> tuple[Any, Any]:
    import copy

    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        manager = PlansManager(copy.deepcopy(plans))
        return manager, manager.get_configuration(FULLRES)


def _network(configuration: Any, channels: int) -> torch.nn.Module:
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    return get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        1,
        channels,
        allow_init=True,
        deep_supervision=True,
    )


def _with_all_channels(
    weights: dict[str, torch.Tensor], seen: NDArray[np.integer], channels: int
) -> dict[str, torch.Tensor]:
    """Return the weights on the CPU, with the output channels of all classes in the segmentation layers."""
    import torch

    whole = {}
    for key, tensor in weights.items():
        whole[key] = tensor.detach().cpu().clone()
        if "seg_layers." in key:
            trained, shape = whole[key], (channels, *tensor.shape[1:])
            whole[key] = 0.01 * torch.randn(shape) if key.endswith("weight") else torch.full(shape, UNSEEN_BIAS)
            whole[key][torch.from_numpy(seen)] = trained
    return whole


def _levels(configuration: Any) -> int:
    """Return the number of outputs of a network with deep supervision."""
    return len(configuration.pool_op_kernel_sizes) - 1


def _loss(configuration: Any) -> Any:
    """Return nnU-Net's loss: Dice and cross-entropy at every level but the coarsest, with weights halved per level."""
    from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
    from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
    from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

    loss = DC_and_CE_loss(
        {"batch_dice": configuration.batch_dice, "smooth": 1e-5, "do_bg": False, "ddp": False},
        {},
        weight_ce=1,
        weight_dice=1,
        dice_class=MemoryEfficientSoftDiceLoss,
    )
    weights = 0.5 ** np.arange(_levels(configuration))
    weights[-1] = 0
    return DeepSupervisionWrapper(loss, weights / weights.sum())


def _batch(
    volumes: Sequence[Volume], configuration: Any, seen: NDArray[np.integer], rng: np.random.Generator
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return random patches with slightly changed contrast and brightness, and labels at every level.

    Labels are the indices of the classes in `seen`.
    """
    import torch

    patch = np.array(configuration.patch_size)
    data, labels = [], []
    for _ in range(configuration.batch_size):
        volume = volumes[int(rng.integers(len(volumes)))]
        room = np.array(volume.labels.shape) - patch
        corner = rng.integers(0, room + 1)
        if len(volume.labelled) and rng.random() < CENTRED:
            corner = np.clip(volume.labelled[rng.integers(len(volume.labelled))] - patch // 2, 0, room)
        window = tuple(slice(start, start + n) for start, n in zip(corner, patch, strict=True))
        data.append(volume.data[(slice(None), *window)] * rng.uniform(0.8, 1.25) + rng.uniform(-0.2, 0.2))
        labels.append(np.searchsorted(seen, volume.labels[window])[None])
    target = torch.from_numpy(np.stack(labels))
    levels = [target[:, :, :: 2**level, :: 2**level, :: 2**level] for level in range(_levels(configuration))]
    return torch.from_numpy(np.stack(data).astype(np.float32)), levels


def _padded(array: NDArray, patch: Sequence[int]) -> NDArray:
    """Return the array (c, z, y, x), padded with zeros to the size of a patch as in nnU-Net's prediction."""
    lacking = np.maximum(0, np.array(patch) - array.shape[1:])
    return np.pad(array, [(0, 0), *((n // 2, n - n // 2) for n in lacking)])


def _logging(losses: list[float]) -> dict[str, list[Any]]:
    """Return the content of nnU-Net's logger after one epoch, with NumPy scalars as in its checkpoints."""
    mean_loss = np.float32(np.mean(losses)) if losses else np.float32(0)
    return {
        "mean_fg_dice": [np.float64(0)],
        "ema_fg_dice": [np.float64(0)],
        "dice_per_class_or_region": [[]],
        "train_losses": [mean_loss],
        "val_losses": [mean_loss],
        "lrs": [LEARNING_RATE],
        "epoch_start_timestamps": [0.0],
        "epoch_end_timestamps": [0.0],
    }
