"""The networks' logits on the CT's own grid: one mask, and how far the folds disagree.

The probability of femur is defined once: the softmax of two numbers, the largest logit of all channels that are not
femur and the largest of those that are. It is above one half exactly where a channel of femur is the largest, so a
fold's mask and its probability agree, and it is what networks with merged heads are trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.prediction.axis_resampling import Resampling, along, plan_resampling, reach, support
from nnunet_femur.prediction.preprocessing import Prepared, is_default, network_spacing_mm, slabs, work_device

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Restored:
    """The femur on the CT's grid, in the orientation of the network.

    Attributes:
        mask_zyx: 1 in the femur, 0 elsewhere.
        disagreement: 1 minus the mean Dice of all pairs of folds: 0 if all folds say the same, 1 if no two of them
            overlap; None with a single fold.
        deviation_zyx: Standard deviation over the folds of the femur's probability in each voxel, 0 to 0.5; None
            unless it was asked for.
    """

    mask_zyx: NDArray[np.uint8]
    disagreement: float | None = None
    deviation_zyx: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class _Part:
    """What the folds say of a part of the CT, along the axes of the plans."""

    place: tuple[slice, ...]
    of_folds: list[NDArray[np.bool_]]
    together: NDArray[np.bool_]
    deviation: NDArray[np.float32] | None


def restore(
    logits: Sequence[torch.Tensor],
    prepared: Prepared,
    predictor: nnUNetPredictor,
    *,
    femur: Sequence[int],
    deviation: bool = False,
) -> Restored:
    """Bring the logits of one or several folds back to the CT's grid.

    One fold gives what nnU-Net gives. Of several the mean probability of femur decides, on the CT's grid: with two
    classes, and with the merged heads of fine-tuning, this is what ``nnUNetv2_ensemble`` does.

    Args:
        logits: For each fold the network's answer on its own grid, classes x the axes of the plans, half precision.
        prepared: What the network saw.
        predictor: nnU-Net's predictor with plans and network.
        femur: Which classes are femur.
        deviation: Whether the standard deviation over the folds is wanted in every voxel.
    """
    parts = _parts if is_default(predictor) else _parts_by_nnunet
    shape = prepared.properties["shape_before_cropping"]
    mask = np.zeros(shape, np.uint8)
    spread = np.zeros(shape, np.float32) if deviation else None
    pairs = list(combinations(range(len(logits)), 2))
    common, voxels = np.zeros(len(pairs), np.int64), np.zeros(len(logits), np.int64)
    for part in parts(logits, prepared, predictor, femur, deviation=deviation):
        mask[part.place] = part.together
        if spread is not None and part.deviation is not None:
            spread[part.place] = part.deviation
        voxels += [np.count_nonzero(each) for each in part.of_folds]
        for index, (a, b) in enumerate(pairs):
            common[index] += np.count_nonzero(part.of_folds[a] & part.of_folds[b])
    back = predictor.plans_manager.transpose_backward
    return Restored(
        mask.transpose(back),
        disagreement(voxels, common) if pairs else None,
        None if spread is None else spread.transpose(back),
    )


def disagreement(voxels: NDArray[np.int64], common: NDArray[np.int64]) -> float:
    """1 minus the mean Dice of all pairs of masks; two empty masks agree.

    Args:
        voxels: Number of voxels of each mask.
        common: Number of voxels that both masks of each pair have, in the order of ``itertools.combinations``.
    """
    pairs = combinations(voxels.tolist(), 2)
    dice = [2 * both / (a + b) if a + b else 1.0 for (a, b), both in zip(pairs, common.tolist(), strict=True)]
    return 1 - float(np.mean(dice))


def _parts(
    logits: Sequence[torch.Tensor],
    prepared: Prepared,
    predictor: nnUNetPredictor,
    femur: Sequence[int],
    *,
    deviation: bool,
) -> Iterator[_Part]:
    """Slab by slab, and only where there can be femur."""
    import torch

    # Networks of fine-tuning answer with a channel for each class of their source.
    merges = hasattr(predictor.label_manager, "femur_rows")
    femur = getattr(predictor.label_manager, "femur_rows", femur)
    properties = prepared.properties
    resampling = _from_the_network(logits[0].shape[1:], properties, predictor)
    box = _whole(resampling) if deviation else _box_of_femur(logits, resampling, femur)
    if any(part.start == part.stop for part in box):
        return
    corner = [start for start, _ in properties["bbox_used_for_cropping"]]
    device = work_device(predictor)
    columns = [support(matrix, rows) for matrix, rows in zip(resampling.matrices, box, strict=True)]
    across = [
        torch.from_numpy(matrix[rows, needed]).float().to(device)
        for matrix, rows, needed in zip(resampling.matrices[1:], box[1:], columns[1:], strict=True)
    ]
    plane_bytes = 4 * len(logits[0]) * len(across[0]) * len(across[1])
    for slab in slabs(box[0].stop - box[0].start, plane_bytes):
        rows = slice(box[0].start + slab.start, box[0].start + slab.stop)
        needed = support(resampling.matrices[0], rows)
        down = torch.from_numpy(resampling.matrices[0][rows, needed]).float().to(device)
        answers = []
        for each in logits:
            values = along(each[:, needed, columns[1], columns[2]].to(device).float(), down, 0)
            # nnU-Net keeps half precision here, which decides where two classes are nearly alike.
            answers.append(along(along(values, across[0], 1), across[1], 2).half().float())
        place = tuple(
            slice(start + part.start, start + part.stop) for start, part in zip(corner, (rows, *box[1:]), strict=True)
        )
        yield _judged(answers, place, femur, deviation=deviation, merges=merges)


def _from_the_network(shape: Sequence[int], properties: dict, predictor: nnUNetPredictor) -> Resampling:
    own, of_network = network_spacing_mm(predictor, properties["spacing"])
    settings = predictor.configuration_manager.configuration["resampling_fn_probabilities_kwargs"]
    wanted = properties["shape_after_cropping_and_before_resampling"]
    return plan_resampling(shape, wanted, of_network, own, settings)


def _whole(resampling: Resampling) -> list[slice]:
    return [slice(0, length) for length in resampling.new_shape]


def _box_of_femur(logits: Sequence[torch.Tensor], resampling: Resampling, femur: Sequence[int]) -> list[slice]:
    """The part of the CT that can be femur.

    Linear weights are not negative: where the background is ahead of the femur in all neighbours, it is ahead
    between them. Splines of a higher order overshoot, so there the whole CT is looked at.
    """
    if any((matrix < 0).any() for matrix in resampling.matrices):
        return _whole(resampling)
    ahead = np.zeros(logits[0].shape[1:], bool)
    for each in logits:
        for label in femur:
            ahead |= (each[label] > each[0]).numpy()
    if not ahead.any():
        return [slice(0, 0)] * 3
    box = []
    for axis, matrix in enumerate(resampling.matrices):
        found = np.flatnonzero(ahead.any(axis=tuple(other for other in range(3) if other != axis)))
        box.append(reach(matrix, slice(int(found[0]), int(found[-1]) + 1)))
    return box


def against_the_rest(channels: torch.Tensor, femur: Sequence[int]) -> torch.Tensor:
    """Return the largest of all other channels and the largest of the femur's, shape (2, ...), from (channels, ...)."""
    import torch

    others = [channel for channel in range(len(channels)) if channel not in femur]
    return torch.stack([channels[others].amax(0), channels[list(femur)].amax(0)])


def _mean(probabilities: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the mean over folds, added up in the order of ``nnUNetv2_ensemble``: rounding decides ties."""
    total = probabilities[0].clone()
    for one in probabilities[1:]:
        total += one
    return total / len(probabilities)


def _judged(
    answers: Sequence[torch.Tensor], place: tuple[slice, ...], femur: Sequence[int], *, deviation: bool, merges: bool
) -> _Part:
    """Return what is femur by each fold, and by all of them together.

    Args:
        answers: Logits of each fold, channels x the part of the CT.
        place: The part.
        femur: The channels that are femur.
        deviation: Whether the standard deviation over the folds is wanted.
        merges: Whether the network is trained with merged heads; nnU-Net decides its ties for the background.
    """
    import torch

    wanted = torch.tensor(list(femur), device=answers[0].device)
    pairs = [against_the_rest(each, femur) for each in answers] if merges or len(answers) > 1 else []
    masks = (
        [pair[1] > pair[0] for pair in pairs] if merges else [torch.isin(each.argmax(0), wanted) for each in answers]
    )
    of_folds = [mask.cpu().numpy() for mask in masks]
    if len(answers) == 1:
        return _Part(place, of_folds, of_folds[0], None)
    probabilities = [torch.softmax(pair, 0) for pair in pairs]
    rest, bone = _mean(probabilities)
    spread = torch.stack([each[1] for each in probabilities]).std(0, correction=0) if deviation else None
    return _Part(place, of_folds, (bone > rest).cpu().numpy(), None if spread is None else spread.cpu().numpy())


def _parts_by_nnunet(
    logits: Sequence[torch.Tensor],
    prepared: Prepared,
    predictor: nnUNetPredictor,
    femur: Sequence[int],
    *,
    deviation: bool,
) -> Iterator[_Part]:
    """The whole CT at once by nnU-Net's own functions, for plans with other ways of resampling, or with regions."""
    import torch
    from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape

    plans, labels = predictor.plans_manager, predictor.label_manager
    of_folds, pairs = [], []
    total: Any = 0
    for each in logits:
        segmentation, probabilities = convert_predicted_logits_to_segmentation_with_correct_shape(
            each,
            plans,
            predictor.configuration_manager,
            labels,
            prepared.properties,
            return_probabilities=True,
            num_threads_torch=torch.get_num_threads(),
        )
        of_folds.append(np.isin(segmentation.transpose(plans.transpose_forward), femur))
        turned = probabilities.transpose([0, *(axis + 1 for axis in plans.transpose_forward)])
        if labels.has_regions:
            # Regions overlap: each has a probability of its own, and nnU-Net's order decides between them.
            total = total + turned
            bone = turned[[labels.regions_class_order.index(label) for label in femur]].max(0)
            pairs.append(torch.from_numpy(np.stack([1 - bone, bone])))
        else:
            pair = against_the_rest(torch.from_numpy(turned), femur)
            # The softmax of two logits is the ratio of their classes' probabilities.
            pairs.append(pair / pair.sum(0) if len(turned) > 2 else pair)
    if labels.has_regions:
        together = np.isin(labels.convert_probabilities_to_segmentation(total / len(logits)), femur)
    elif len(logits) == 1:
        together = of_folds[0]
    else:
        rest, bone = _mean(pairs).numpy()
        together = bone > rest
    spread = np.std([pair[1].numpy() for pair in pairs], axis=0).astype(np.float32) if deviation else None
    yield _Part((slice(None),) * 3, of_folds, together, spread)
