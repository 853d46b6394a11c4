"""nnU-Net's sliding window without the windows that are far from any femur.

A first look goes through as few of the windows as cover the CT. From there on only those follow that hold femur by what
has been seen, until no such window is left. Places, weights and sums of the windows are nnU-Net's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

Window = tuple[slice | int, ...]
"""A part of a CT: all of the first axis, that of channels, then of the plans' axes; a number where slices are seen."""

LEAST_LOGIT = -3.0
"""There may be femur where its logit is at most this far behind the best one: a twentieth as probable."""


def logits_near_femur(
    predictor: nnUNetPredictor,
    data: torch.Tensor,
    *,
    femur: Sequence[int],
    on_plan: Callable[[int], None] = lambda _: None,
) -> torch.Tensor:
    """What nnU-Net's sliding window gives, by only the windows that matter for the femur.

    A window is left out if in every voxel of it the windows that saw that voxel say that there is no femur. The
    voxels that lie in no such window have nnU-Net's logits, but for the order of a sum in half precision.

    Args:
        predictor: nnU-Net's predictor with one fold's parameters in its network.
        data: The prepared CT, 1 x the axes of the plans.
        femur: The network's rows that are femur.
        on_plan: Told how many windows are known to be needed, whenever that changes.

    Returns:
        Classes x the axes of the plans, in half precision.

    Raises:
        RuntimeError: A logit is infinite, as in nnU-Net.
    """
    import torch
    from acvl_utils.cropping_and_padding.padding import pad_nd_image

    patch = predictor.configuration_manager.patch_size
    padded, inside = pad_nd_image(data, patch, "constant", {"value": 0}, True, None)  # noqa: FBT003 - nnU-Net's function
    windows = predictor._internal_get_sliding_window_slicers(padded.shape[1:])  # noqa: SLF001
    predictor.network = predictor.network.to(predictor.device).eval()
    on_cuda = predictor.device.type == "cuda"
    with torch.inference_mode(), torch.autocast("cuda", enabled=on_cuda):
        logits = None
        if predictor.perform_everything_on_device:
            try:
                logits = _averaged(predictor, padded.to(predictor.device), windows, femur, on_plan)
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
        if logits is None:
            logits = _averaged(predictor, padded, windows, femur, on_plan)
    return logits[(slice(None), *inside[1:])]


def _averaged(
    predictor: nnUNetPredictor,
    data: torch.Tensor,
    windows: Sequence[Window],
    femur: Sequence[int],
    on_plan: Callable[[int], None],
) -> torch.Tensor:
    """The weighted mean of the windows that are needed; sums lie where the data does."""
    import torch
    from nnunetv2.inference.sliding_window_prediction import compute_gaussian

    patch = tuple(predictor.configuration_manager.patch_size)
    weight = compute_gaussian(patch, sigma_scale=1 / 8, value_scaling_factor=10, device=data.device)
    rows = predictor.label_manager.num_segmentation_heads
    logits = torch.zeros((rows, *data.shape[1:]), dtype=torch.half, device=data.device)
    weights = torch.zeros(data.shape[1:], dtype=torch.half, device=data.device)
    near = torch.zeros(data.shape[1:], dtype=torch.bool, device=data.device)
    needed, left, planned = covering(windows), set(range(len(windows))), 0
    while needed:
        planned += len(needed)
        on_plan(planned)
        for window in (windows[index] for index in needed):
            seen = data[window][None].contiguous().to(predictor.device)
            answer = predictor._internal_maybe_mirror_and_predict(seen)[0].to(data.device)  # noqa: SLF001
            near[window[1:]] |= answer[list(femur)].amax(0) >= answer.amax(0) + LEAST_LOGIT
            answer *= weight
            logits[window] += answer
            weights[window[1:]] += weight
        left.difference_update(needed)
        needed = [index for index in sorted(left) if near[windows[index][1:]].any()]
    logits /= weights
    if torch.isinf(logits).any():
        msg = "a logit is infinite"
        raise RuntimeError(msg)
    return logits


def covering(windows: Sequence[Window]) -> list[int]:
    """Places in a grid of windows of as few of them as cover the same voxels.

    Args:
        windows: Every combination of some starts along each axis, neighbours without a gap between them.
    """
    chosen = [_chosen_starts([window[axis] for window in windows]) for axis in range(len(windows[0]))]
    return [
        index
        for index, window in enumerate(windows)
        if all(_start(part) in starts for part, starts in zip(window, chosen, strict=True))
    ]


def _chosen_starts(parts: Sequence[slice | int]) -> set[int | None]:
    """From the first start on always the farthest that leaves no gap."""
    ends = {_start(part): part.stop if isinstance(part, slice) else part + 1 for part in parts}
    if None in ends:
        return {None}
    starts = sorted(start for start in ends if start is not None)
    chosen = {starts[0]}
    end = ends[starts[0]]
    while end < ends[starts[-1]]:
        farthest = max(start for start in starts if start <= end)
        chosen.add(farthest)
        end = ends[farthest]
    return {*chosen}


def _start(part: slice | int) -> int | None:
    return part.start if isinstance(part, slice) else part
