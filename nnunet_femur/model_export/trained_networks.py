"""The networks of a trained model, loaded for an export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnunet_femur.consistency import SOURCE_KEY
from nnunet_femur.prediction.trained_model import femur_labels
from nnunet_femur.recipe.trainer_names import TRAINERS

if TYPE_CHECKING:
    import torch
    from nnunetv2.utilities.label_handling.label_handling import LabelManager
    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

    from nnunet_femur.prediction.trained_model import Model


@dataclass(frozen=True)
class TrainedNetworks:
    """A trained model with its network built and the weights of its folds read.

    Attributes:
        model: The model: folder, folds, ``plans.json`` and ``dataset.json``.
        trainer: Class name of its trainer.
        configuration_name: Name of its configuration.
        plans: Its plans, as nnU-Net handles them.
        configuration: Its configuration, as nnU-Net handles it.
        label_manager: nnU-Net's label manager of its prediction.
        network: The network that nnU-Net predicts with, on the CPU. It outputs all channels.
        weights: State dict of the network, for each fold.
        mirror_axes: Axes over which nnU-Net mirrors at prediction; None for no mirroring.
    """

    model: Model
    trainer: str
    configuration_name: str
    plans: PlansManager
    configuration: ConfigurationManager
    label_manager: LabelManager
    network: torch.nn.Module
    weights: tuple[dict[str, torch.Tensor], ...]
    mirror_axes: tuple[int, ...] | None

    @property
    def folds(self) -> tuple[str, ...]:
        """Names of the folds: "0", "1", ..., "all"."""
        return self.model.folds

    @property
    def labels(self) -> dict[str, Any]:
        """Labels of the dataset: names and values."""
        found: dict[str, Any] = self.model.dataset["labels"]
        return found

    @property
    def works_in_slices(self) -> bool:
        """True for this package's networks of slices, which predict volumes plane by plane."""
        return self.trainer in TRAINERS and TRAINERS[self.trainer].in_slices

    @property
    def ends_only(self) -> bool:
        """True for networks that were trained on the ends of the femur alone."""
        return self.trainer in TRAINERS and TRAINERS[self.trainer].ends_only

    @property
    def source(self) -> dict[str, Any] | None:
        """The plans' entry about the model of TotalSegmentator that was fine-tuned; None for other networks."""
        if self.trainer not in TRAINERS or not TRAINERS[self.trainer].recipe.startswith("Finetune"):
            return None
        found: dict[str, Any] | None = self.configuration.configuration.get(SOURCE_KEY)
        return found

    @property
    def has_merged_heads(self) -> bool:
        """True for a fine-tuned network that outputs a channel for each class of TotalSegmentator's model."""
        return hasattr(self.label_manager, "femur_channels")

    @property
    def channels(self) -> int:
        """Number of output channels of the network."""
        count: int = self.label_manager.num_segmentation_heads
        return count

    @property
    def femur_channels(self) -> tuple[int, ...]:
        """Output channels that mean femur."""
        if self.has_merged_heads:
            return tuple(self.label_manager.femur_channels)
        return femur_labels(self.labels)


def load_networks(model: Model) -> TrainedNetworks:
    """Build the network of a model and read the weights of its folds, by a loader that runs no code of the files.

    Args:
        model: The model.

    Raises:
        InputError: A checkpoint is damaged, contains more than data, or the network works in two stages.
        SetupError: The trainer's class is not installed.
    """
    import torch

    from nnunet_femur.prediction.predictor import load_predictor
    from nnunet_femur.weights import load_checkpoint

    predictor = load_predictor(model, device=torch.device("cpu"))
    axes = predictor.allowed_mirroring_axes
    return TrainedNetworks(
        model=model,
        trainer=predictor.trainer_name,
        # Safe and complete, since the predictor has just been loaded from it.
        configuration_name=load_checkpoint(model.checkpoints[0])["init_args"]["configuration"],
        plans=predictor.plans_manager,
        configuration=predictor.configuration_manager,
        label_manager=predictor.label_manager,
        network=predictor.network.eval(),
        weights=tuple(predictor.list_of_parameters),
        mirror_axes=None if axes is None else tuple(int(axis) for axis in axes),
    )
