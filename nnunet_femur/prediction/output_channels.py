"""Output channels of a network that are femur, of either side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from nnunet_femur.imaging.sides import LEFT, RIGHT, side_in_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor


class SideChannels(NamedTuple):
    """Output channels of a network that distinguishes the sides.

    Attributes:
        left: Channel of the left femur.
        right: Channel of the right femur.
    """

    left: int
    right: int


def side_channels(predictor: nnUNetPredictor, labels: Mapping[str, Any], femur: Sequence[int]) -> SideChannels | None:
    """Return the channels of the left and of the right femur; None if the network does not have both.

    Networks of fine-tuning have TotalSegmentator's channels, the left one first in their plans. Others have a channel
    for each label.

    Args:
        predictor: nnU-Net's predictor with plans and network.
        labels: ``labels`` of the model's ``dataset.json``.
        femur: Labels that are femur.
    """
    manager = predictor.label_manager
    if manager.has_regions:
        return None
    merged = getattr(manager, "femur_channels", None)
    if merged is not None:
        return SideChannels(*merged) if len(merged) == 2 else None
    of_side = {side_in_name(name): int(value) for name, value in labels.items() if value in femur}
    return SideChannels(of_side[LEFT], of_side[RIGHT]) if of_side.keys() == {LEFT, RIGHT} and len(femur) == 2 else None


def femur_channels(predictor: nnUNetPredictor, femur: Sequence[int]) -> tuple[int, ...]:
    """Return the output channels of the femur.

    Args:
        predictor: nnU-Net's predictor with plans and network.
        femur: Labels that are femur.
    """
    manager = predictor.label_manager
    if manager.has_regions:
        return tuple(manager.regions_class_order.index(label) for label in femur)
    return tuple(getattr(manager, "femur_channels", femur))
