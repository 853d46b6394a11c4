"""Cases whose voxels give their place, and loaders of their slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter

from nnunet_femur.training.slices.slice_loader import SliceLoader
from nnunet_femur.training.slices.slice_order import SliceOrder, find_slices
from nnunet_femur.training.slices.slice_window import SliceWindow

SHAPE = (7, 9, 6)


class NumberedCases:
    """Replaces nnU-Net's dataset; voxel z, y, x of case n has the value 10,000 (n + 1) + 1000 z + 100 y + x."""

    def __init__(self, masks: list[np.ndarray]) -> None:
        self.identifiers = [f"case{n}" for n in range(len(masks))]
        self.masks = masks

    def load_case(self, identifier: str) -> tuple[Any, ...]:
        number = self.identifiers.index(identifier)
        z, y, x = np.indices(self.masks[number].shape)
        image = (10000 * (number + 1) + 1000 * z + 100 * y + x).astype(np.float32)
        return image[None], self.masks[number][None].astype(np.int8), None, {}


def unchanged(image: torch.Tensor, segmentation: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"image": image, "segmentation": segmentation}


def noisy(image: torch.Tensor, segmentation: torch.Tensor) -> dict[str, torch.Tensor]:
    """Add noise of both generators that nnU-Net's transforms use."""
    return {"image": image + torch.rand(1) + np.random.uniform(), "segmentation": segmentation}  # noqa: NPY002


def make_cases() -> NumberedCases:
    masks = [np.random.default_rng(seed).random(SHAPE) > 0.9 for seed in range(3)]
    masks[1][0], masks[1][:, 0] = False, False
    return NumberedCases(masks)


def make_loader(
    cases: NumberedCases,
    *,
    axes: tuple[int, ...] = (0, 1, 2),
    window: SliceWindow | None = None,
    per_batch: int = 8,
    iterations: int | None = None,
    transforms: Any = unchanged,
    **options: Any,
) -> SliceLoader:
    table = find_slices(cases.masks, axes)
    return SliceLoader(
        cases,
        table=table,
        order=SliceOrder(len(table), per_batch=per_batch, iterations=iterations, seed=5),
        axes=axes,
        window=window or SliceWindow(size=(9, 9)),
        transforms=transforms,
        **{"others": 0, **options},
    )


def _augmenter(loader: SliceLoader, workers: int) -> Any:
    if workers == 0:
        return SingleThreadedAugmenter(loader, None)
    return MultiThreadedAugmenter(loader, None, num_processes=workers, wait_time=0.002)


def take(cases: NumberedCases, workers: int, count: int, **options: Any) -> list[dict[str, Any]]:
    augmenter = _augmenter(make_loader(cases, workers=workers, **options), workers)
    batches = [next(augmenter) for _ in range(count)]
    if workers:
        augmenter._finish()
    return batches


def place_of(image: np.ndarray) -> tuple[int, int, int]:
    """Return case, axis and index of a slice from its voxels; the padding is 0."""
    numbers = image[image > 0].astype(int)
    case, rest = numbers // 10000 - 1, numbers % 10000
    places = np.stack((rest // 1000, rest // 100 % 10, rest % 100))
    (axis,) = np.flatnonzero((places == places[:, :1]).all(axis=1))
    return int(case[0]), int(axis), int(places[axis, 0])
