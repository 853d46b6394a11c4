"""Export of the networks' logits to the CT's grid: one mask, and the disagreement of the folds.

The probability of femur has one definition: the softmax of two numbers, the largest logit of all channels that are not
femur and the largest of those that are. It is above one half exactly where a channel of femur has the largest logit, so
a fold's mask and its probability agree, and networks with merged heads are trained on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.imaging.boxes import box_of, box_within, is_empty
from nnunet_femur.prediction.axis_resampling import Resampling, along, plan_resampling, reach, support
from nnunet_femur.prediction.box_logits import FoldLogits
from nnunet_femur.prediction.output_channels import femur_channels
from nnunet_femur.prediction.preprocessing import Preprocessed, is_default, network_spacing_mm, slabs, work_device

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from numpy.typing import NDArray

    from nnunet_femur.prediction.output_channels import SideChannels


@dataclass(frozen=True)
class Exported:
    """The femur on the CT's grid, in the orientation of the network.

    Attributes:
        mask_zyx: 1 in the femur, 0 elsewhere.
        disagreement: 1 minus the mean Dice of all pairs of folds: 0 if all folds agree, 1 if no two overlap; None with
            a single fold.
        deviation_zyx: Standard deviation over the folds of the femur's probability in each voxel, 0 to 0.5; None
            unless it was asked for.
        sides_zyx: 1 in the femur where the network's channel of the left femur is larger than that of the right one, -1
            where it is smaller, 0 elsewhere; None if the network does not distinguish the sides.
    """

    mask_zyx: NDArray[np.uint8]
    disagreement: float | None = None
    deviation_zyx: NDArray[np.float32] | None = None
    sides_zyx: NDArray[np.int8] | None = None


def export(
    logits: FoldLogits | Sequence[torch.Tensor],
    preprocessed: Preprocessed,
    predictor: nnUNetPredictor,
    *,
    femur: Sequence[int],
    deviation: bool = False,
    sides: SideChannels | None = None,
) -> Exported:
    """Bring the logits of one or several folds back to the CT's grid.

    One fold gives the mask that nnU-Net gives. Of several folds, the mean probability of femur decides, on the CT's
    grid: with two classes, and with the merged heads of fine-tuning, this is what ``nnUNetv2_ensemble`` does.

    Args:
        logits: For each fold the logits on the network's grid, shape (channels, *axes of the plans), half precision; or
            those of a part of it.
        preprocessed: The CT that the network saw.
        predictor: nnU-Net's predictor with plans and network.
        femur: Labels that are femur.
        deviation: Compute the standard deviation over the folds in every voxel.
        sides: Channels to compare in the voxels of the mask, which itself does not depend on them.
    """
    import torch

    given = logits if isinstance(logits, FoldLogits) else FoldLogits.of_whole(logits)
    folds = _Folds(given, preprocessed.properties, predictor, femur, deviation, sides, work_device(predictor))
    try:
        return _exported(folds)
    except torch.OutOfMemoryError:
        if folds.device.type == "cpu":
            raise
    # Outside of the handler, whose exception keeps the tensors on the device.
    return _exported(replace(folds, logits=given.on_cpu(), device=torch.device("cpu")))


def _exported(folds: _Folds) -> Exported:
    predictor, deviation, sides = folds.predictor, folds.deviation, folds.sides
    whole = folds.properties["shape_before_cropping"]
    mask = np.zeros(whole, np.uint8)
    spread = np.zeros(whole, np.float32) if deviation else None
    of_sides = np.zeros(whole, np.int8) if sides else None
    count = len(folds.logits.values)
    pairs = list(combinations(range(count), 2))
    common, voxels = np.zeros(len(pairs), np.int64), np.zeros(count, np.int64)
    for part in folds.parts() if is_default(predictor) else folds.parts_by_nnunet():
        mask[part.place] = part.mask
        if spread is not None and part.deviation is not None:
            spread[part.place] = part.deviation
        if of_sides is not None and part.sides is not None:
            of_sides[part.place] = part.sides * part.mask
        voxels += [np.count_nonzero(each) for each in part.of_folds]
        for index, (a, b) in enumerate(pairs):
            common[index] += np.count_nonzero(part.of_folds[a] & part.of_folds[b])
    back = predictor.plans_manager.transpose_backward
    return Exported(
        mask.transpose(back),
        disagreement(voxels, common) if pairs else None,
        None if spread is None else spread.transpose(back),
        None if of_sides is None else of_sides.transpose(back),
    )


def disagreement(voxels: NDArray[np.int64], common: NDArray[np.int64]) -> float:
    """Return 1 minus the mean Dice of all pairs of masks; two empty masks agree.

    Args:
        voxels: Number of voxels of each mask.
        common: Number of voxels that both masks of each pair have, in the order of ``itertools.combinations``.
    """
    pairs = combinations(voxels.tolist(), 2)
    dice = [2 * both / (a + b) if a + b else 1.0 for (a, b), both in zip(pairs, common.tolist(), strict=True)]
    return 1 - float(np.mean(dice))


@dataclass(frozen=True)
class _Part:
    """Masks of a part of the CT, along the axes of the plans."""

    place: tuple[slice, ...]
    of_folds: list[NDArray[np.bool_]]
    mask: NDArray[np.bool_]
    deviation: NDArray[np.float32] | None
    sides: NDArray[np.int8] | None = None


@dataclass(frozen=True)
class _Folds:
    """The logits of all folds, and the two ways to the CT's grid: this package's, and nnU-Net's own functions."""

    logits: FoldLogits
    properties: dict[str, Any]
    predictor: nnUNetPredictor
    femur: Sequence[int]
    deviation: bool
    sides: SideChannels | None
    device: torch.device

    def parts(self) -> Iterator[_Part]:
        """Yield the masks slab by slab, only where there can be femur."""
        import torch

        # Networks of fine-tuning have a channel for each class of their source.
        merges = hasattr(self.predictor.label_manager, "femur_channels")
        channels = femur_channels(self.predictor, self.femur)
        resampling = self._resampling()
        box = _whole(resampling) if self.deviation else _box_of_femur(self.logits, resampling, channels)
        if any(part.start == part.stop for part in box):
            return
        corner = [start for start, _ in self.properties["bbox_used_for_cropping"]]
        device = self.device
        columns = [support(matrix, rows) for matrix, rows in zip(resampling.matrices, box, strict=True)]
        across = [
            torch.from_numpy(matrix[rows, needed]).float().to(device)
            for matrix, rows, needed in zip(resampling.matrices[1:], box[1:], columns[1:], strict=True)
        ]
        logits = self.logits if self.logits.contains(columns) else self.logits.filled()
        plane_bytes = 4 * len(logits.values[0]) * len(across[0]) * len(across[1])
        for slab in slabs(box[0].stop - box[0].start, plane_bytes, device):
            rows = slice(box[0].start + slab.start, box[0].start + slab.stop)
            needed = support(resampling.matrices[0], rows)
            down = torch.from_numpy(resampling.matrices[0][rows, needed]).float().to(device)
            resampled = []
            for fold in range(len(logits.values)):
                part = logits.part(fold, (needed, *columns[1:]))
                values = along(part.to(device).float(), down, 0)
                # nnU-Net keeps half precision here, which decides where two classes are nearly alike.
                resampled.append(along(along(values, across[0], 1), across[1], 2).half().float())
            place = tuple(
                slice(start + part.start, start + part.stop)
                for start, part in zip(corner, (rows, *box[1:]), strict=True)
            )
            decided = decide(resampled, place, channels, deviation=self.deviation, merges=merges)
            yield replace(decided, sides=_larger_side(resampled, self.sides))

    def _resampling(self) -> Resampling:
        own, of_network = network_spacing_mm(self.predictor, self.properties["spacing"])
        settings = self.predictor.configuration_manager.configuration["resampling_fn_probabilities_kwargs"]
        wanted = self.properties["shape_after_cropping_and_before_resampling"]
        return plan_resampling(self.logits.shape, wanted, of_network, own, settings)

    def parts_by_nnunet(self) -> Iterator[_Part]:
        """Yield the whole CT at once, by nnU-Net's own functions, for plans with other resampling or with regions."""
        import torch
        from nnunetv2.inference import export_prediction

        plans, labels = self.predictor.plans_manager, self.predictor.label_manager
        of_folds, pairs, balances = [], [], []
        total: Any = 0
        logits = self.logits.filled(regions=labels.has_regions).on_cpu().values
        for each in logits:
            segmentation, probabilities = export_prediction.convert_predicted_logits_to_segmentation_with_correct_shape(
                each,
                plans,
                self.predictor.configuration_manager,
                labels,
                self.properties,
                return_probabilities=True,
                num_threads_torch=torch.get_num_threads(),
            )
            of_folds.append(np.isin(segmentation.transpose(plans.transpose_forward), self.femur))
            turned = probabilities.transpose([0, *(axis + 1 for axis in plans.transpose_forward)])
            if labels.has_regions:
                # Regions overlap: each has a probability for itself, and nnU-Net's order decides between them.
                total = total + turned
                bone = turned[[labels.regions_class_order.index(label) for label in self.femur]].max(0)
                pairs.append(torch.from_numpy(np.stack([1 - bone, bone])))
            else:
                pair = against_the_rest(torch.from_numpy(turned), self.femur)
                # The softmax of two logits is the ratio of their classes' probabilities.
                pairs.append(pair / pair.sum(0) if len(turned) > 2 else pair)
                if self.sides is not None and len(turned) > max(self.sides):
                    balances.append(turned[self.sides.left] - turned[self.sides.right])
        if labels.has_regions:
            together = np.isin(labels.convert_probabilities_to_segmentation(total / len(logits)), self.femur)
        elif len(logits) == 1:
            together = of_folds[0]
        else:
            rest, bone = _mean(pairs).numpy()
            together = bone > rest
        spread = np.std([pair[1].numpy() for pair in pairs], axis=0).astype(np.float32) if self.deviation else None
        of_sides = np.sign(np.sum(balances, axis=0)).astype(np.int8) if balances else None
        yield _Part((slice(None),) * 3, of_folds, together, spread, of_sides)


def _larger_side(channels: Sequence[torch.Tensor], sides: SideChannels | None) -> NDArray[np.int8] | None:
    """Return 1 where the left channel is the larger one, -1 where the right one is, 0 where both are equal.

    Args:
        channels: Logits of each fold, shape (channels, *part of the CT). Folds are averaged as probabilities of left
            against right.
        sides: The channels to compare.
    """
    import torch

    if sides is None:
        return None
    # Above 0 exactly where the left channel is larger, also with a single fold.
    balance = sum(torch.tanh((each[sides.left] - each[sides.right]) / 2) for each in channels)
    return np.asarray(torch.as_tensor(balance).sign().to(torch.int8).cpu().numpy())


def _whole(resampling: Resampling) -> list[slice]:
    return [slice(0, length) for length in resampling.new_shape]


def _box_of_femur(logits: FoldLogits, resampling: Resampling, femur: Sequence[int]) -> list[slice]:
    """Return the part of the CT that can be femur.

    Linear weights are not negative: where the background is ahead of the femur in all neighbours, it is ahead
    between them. Splines of a higher order overshoot, so the whole CT is needed there.
    """
    if any((matrix < 0).any() for matrix in resampling.matrices):
        return _whole(resampling)
    import torch

    ahead = torch.zeros_like(logits.values[0][0], dtype=torch.bool)
    for each in logits.values:
        for channel in femur:
            # Some folds are on the CPU if the memory of the device was too small for all.
            ahead |= (each[channel] > each[0]).to(ahead.device)
    found = box_of(ahead.cpu().numpy())
    if is_empty(found):
        return list(found)
    return [
        reach(matrix, part) for matrix, part in zip(resampling.matrices, box_within(logits.box, found), strict=True)
    ]


def decide(
    logits: Sequence[torch.Tensor], place: tuple[slice, ...], femur: Sequence[int], *, deviation: bool, merges: bool
) -> _Part:
    """Return the masks of each fold and of all folds together.

    Args:
        logits: Logits of each fold, shape (channels, *part of the CT).
        place: The part.
        femur: The channels that are femur.
        deviation: Compute the standard deviation over the folds.
        merges: The network is trained with merged heads; else ties are decided as nnU-Net does, for the background.
    """
    import torch

    wanted = torch.tensor(list(femur), device=logits[0].device)
    pairs = [against_the_rest(each, femur) for each in logits] if merges or len(logits) > 1 else []
    masks = [pair[1] > pair[0] for pair in pairs] if merges else [torch.isin(each.argmax(0), wanted) for each in logits]
    of_folds = [mask.cpu().numpy() for mask in masks]
    if len(logits) == 1:
        return _Part(place, of_folds, of_folds[0], None)
    probabilities = [torch.softmax(pair, 0) for pair in pairs]
    rest, bone = _mean(probabilities)
    spread = torch.stack([each[1] for each in probabilities]).std(0, correction=0) if deviation else None
    return _Part(place, of_folds, (bone > rest).cpu().numpy(), None if spread is None else spread.cpu().numpy())


def against_the_rest(channels: torch.Tensor, femur: Sequence[int]) -> torch.Tensor:
    """Return the largest value of the other channels and the largest of the femur's, shape (2, ...).

    Args:
        channels: Logits or probabilities, shape (channels, ...).
        femur: The channels that are femur.
    """
    import torch

    others = [channel for channel in range(len(channels)) if channel not in femur]
    return torch.stack([channels[others].amax(0), channels[list(femur)].amax(0)])


def _mean(probabilities: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the mean over folds, added up in the order of ``nnUNetv2_ensemble``, since rounding decides ties."""
    total = probabilities[0].clone()
    for one in probabilities[1:]:
        total += one
    return total / len(probabilities)
