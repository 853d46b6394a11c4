"""Choice of the windows that are needed: those that reach within 25 mm of the femur.

A few windows of nnU-Net's own grid find the femur, and their logits are used again. All windows of the grid that reach
the surroundings of the femur are computed then, so that every voxel there has all its windows.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.prediction.preprocessing import BONE_HU

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from numpy.typing import NDArray

    from nnunet_femur.imaging.boxes import Box
    from nnunet_femur.prediction.coarse_blocks import Blocks
    from nnunet_femur.prediction.sliding_window import Grid

MARGIN_MM = 25.0
"""Distance from the femur in mm up to which every voxel has all its windows."""

SLICES_MM = 12.0
"""Distance in mm of the slices in which a network of slices searches the femur first."""

CROP_MODEL_FROM = 16
"""Passes of a model's own network to find the femur from which on TotalSegmentator's 6 mm model is used instead."""

SPECK_ML = 1.0
"""Volume in ml below which a separate piece is not taken for a femur, or for bone, when the region is chosen."""


def bone_value(predictor: nnUNetPredictor) -> float | None:
    """Return the value of a preprocessed voxel above which it is as dense as bone; None if the plans do not fix it.

    Args:
        predictor: nnU-Net's predictor with plans.
    """
    scheme = predictor.configuration_manager.configuration["normalization_schemes"][0]
    if scheme == "NoNormalization":
        return BONE_HU
    if scheme != "CTNormalization":
        return None
    known: dict[str, Any] = predictor.plans_manager.foreground_intensity_properties_per_channel["0"]
    if not known["percentile_00_5"] < BONE_HU < known["percentile_99_5"]:
        return None
    return (BONE_HU - float(known["mean"])) / max(float(known["std"]), 1e-8)


def bone_blocks(data: torch.Tensor, grid: Grid, blocks: Blocks, value: float | None) -> NDArray[np.bool_]:
    """Return the blocks that contain bone; all blocks if none does, or if the value of bone is not known.

    Args:
        data: The padded CT, shape (1, *axes of the plans).
        grid: The grid.
        blocks: The blocks of the padded CT.
        value: Value above which a voxel is as dense as bone; None if it is not known.
    """
    if value is not None:
        counts = np.zeros(blocks.counts, np.int32)
        # Zeros in the padding can be the value of bone.
        counts[blocks.of_box(grid.inside)] = blocks.counted((data[0][grid.inside] > value).cpu().numpy(), grid.inside)
        found = blocks.pieces(counts, smallest_ml=SPECK_ML)
        if found.any():
            return found
    return np.ones(blocks.counts, bool)


def cover(blocks: Blocks, wanted: NDArray[np.bool_], windows: Sequence[Box]) -> list[int]:
    """Return numbers of few windows that together touch all wanted blocks, in ascending order.

    The window that adds the most blocks is taken first, and so on, as in the greedy algorithm for the set cover.

    Args:
        blocks: The blocks.
        wanted: The blocks to touch.
        windows: The windows, which together touch all blocks.
    """
    # Of windows that touch the same blocks, such as neighbouring thin slices, only the middle one is tried.
    alike: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for number, window in enumerate(windows):
        alike.setdefault(tuple((part.start, part.stop) for part in blocks.of_box(window)), []).append(number)
    numbers = [same[len(same) // 2] for same in alike.values()]
    boxes = [windows[number] for number in numbers]
    left, chosen = wanted.copy(), []
    missing = int(np.count_nonzero(left))
    # A window never adds more blocks than it did before, so only the first of the queue is counted again.
    queue = [(-int(count), index) for index, count in enumerate(blocks.sums(left, boxes)) if count]
    heapq.heapify(queue)
    while missing:
        _, index = heapq.heappop(queue)
        place = blocks.of_box(boxes[index])
        added = int(np.count_nonzero(left[place]))
        if queue and (-added, index) > queue[0]:
            heapq.heappush(queue, (-added, index))
            continue
        chosen.append(numbers[index])
        left[place] = False
        missing -= added
    return sorted(chosen)


def seeds_of(grid: Grid, blocks: Blocks, bone: NDArray[np.bool_]) -> list[int]:
    """Return the numbers of the windows in which the femur is searched first.

    Args:
        grid: The grid.
        blocks: The blocks of the padded CT.
        bone: The blocks that contain bone.
    """
    wanted = bone
    if grid.of_slices:
        # The femur is longer than the distance of these slices.
        every = max(1, int(SLICES_MM / blocks.edges_mm[0]))
        wanted = np.zeros_like(bone)
        wanted[every // 2 :: every] = bone[every // 2 :: every]
    return cover(blocks, wanted if wanted.any() else bone, grid.windows)


def is_femur(values: torch.Tensor, channels: Sequence[int], *, regions: bool = False) -> torch.Tensor:
    """Return the voxels in which a channel of the femur is larger than all other channels.

    Args:
        values: Logits, or their weighted sums, shape (channels, *voxels).
        channels: The channels of the femur.
        regions: True for overlapping regions, each of which is decided for itself: above 0.
    """
    import torch

    femur = values[channels[0]]
    for channel in channels[1:]:
        femur = torch.maximum(femur, values[channel])
    if regions:
        return femur > 0
    others = [channel for channel in range(len(values)) if channel not in channels]
    ahead = femur > values[others[0]]
    if len(others) > 1:
        # Only few voxels are ahead of the background.
        places = ahead.flatten().nonzero()[:, 0]
        highest = torch.take(values[others[1]], places)
        for channel in others[2:]:
            highest = torch.maximum(highest, torch.take(values[channel], places))
        ahead.view(-1)[places] = torch.take(femur, places) > highest
    return ahead


class FemurCounts:
    """Femur found in windows, counted in blocks.

    Args:
        blocks: The blocks.
    """

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks
        self._femur = np.zeros(blocks.counts)
        self._seen = np.zeros(blocks.counts)

    def add(self, femur: NDArray[np.bool_], box: Box) -> bool:
        """Add the femur's voxels in a box, and return True if there is at least a speck of femur.

        Args:
            femur: The mask in the box.
            box: Place of the mask in the padded CT.
        """
        place = self.blocks.of_box(box)
        self._femur[place] += self.blocks.counted(femur, box)
        self._seen[place] += self.blocks.lengths(box)
        return bool(np.count_nonzero(femur) * self.blocks.voxel_ml >= SPECK_ML)

    def region(self, margin_mm: float = MARGIN_MM) -> NDArray[np.bool_]:
        """Return the blocks within a margin of the femur; none if there is no femur.

        Blocks that were seen in part or several times count as if the rest were alike.

        Args:
            margin_mm: The margin in mm.
        """
        whole = self.blocks.lengths(tuple(slice(0, length) for length in self.blocks.shape))
        estimated = self._femur * whole / np.maximum(self._seen, 1)
        return self.blocks.dilated(self.blocks.pieces(estimated, smallest_ml=SPECK_ML), margin_mm)
