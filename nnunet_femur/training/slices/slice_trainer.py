"""Trainers of two-dimensional networks on slices, or on slices of the femur's ends."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import nn

from nnunet_femur.errors import InputError, ending_without_traceback
from nnunet_femur.networks.registry import build_slice_network, stride_of
from nnunet_femur.networks.three_planes import ThreePlaneNetwork
from nnunet_femur.recipe.hyperparameters import refuse
from nnunet_femur.recipe.recipe_rules import problem_of_heads
from nnunet_femur.training.slices.plane_weights import learn_plane_weights
from nnunet_femur.training.slices.slice_data_trainer import SliceDataTrainer
from nnunet_femur.training.slices.slice_geometry import check_axis_order, largest_size, pixels_per_voxel, plane_axes
from nnunet_femur.training.slices.slice_order import SliceTable, slices_of_ends
from nnunet_femur.weights.encoder_loading import load_encoder_weights

if TYPE_CHECKING:
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
    from nnunetv2.utilities.label_handling.label_handling import LabelManager
    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager

    from nnunet_femur.recipe.hyperparameters import Recipe, SliceRecipe
    from nnunet_femur.recipe.slice_planes import Plane
    from nnunet_femur.training.base import NetworkRequest


_WEIGHTS_KEY = "femur_plane_weights"
"""Key of a checkpoint for the facts about learned weights of the planes."""

LARGEST_PATCH = 512
"""Largest number of voxels along an axis that are predicted in one piece; limits the memory for long scans."""


class SliceTrainer(SliceDataTrainer):
    """Trainer on slices. It predicts volumes plane by plane with configuration ``3d_fullres``, and slices with ``2d``.

    Attributes:
        architecture: Name of the architecture in :data:`~nnunet_femur.networks.registry.ARCHITECTURES`.
        encoder: Name of the encoder in :data:`~nnunet_femur.networks.registry.ENCODERS`.
    """

    deep_supervision = False
    architecture: ClassVar[str]
    encoder: ClassVar[str]
    _steps_of_epoch: int = 0
    _plane_weights: dict[str, Any] | None = None

    @property
    def works_in_slices(self) -> bool:
        """True under every configuration: volumes are predicted plane by plane."""
        return True

    @property
    def keeps_lowest_loss(self) -> bool:
        """True if the recipe keeps the network of the lowest training loss."""
        return self.slice_recipe.keep == "lowest_loss"

    @classmethod
    def plane_weights(cls, recipe: SliceRecipe) -> tuple[float, ...] | None:
        """Return the weight of each plane in the prediction of a volume; None for equal or learned weights."""
        return None if recipe.plane_weights == "validation" else recipe.plane_weights

    @classmethod
    def learns_plane_weights(cls, recipe: SliceRecipe, configuration: ConfigurationManager) -> bool:
        """Return True if the weights of several planes are learned from validation cases; not with ``2d``."""
        several = len(cls.planes(recipe)) > 1 and len(configuration.patch_size) == 3
        return several and recipe.plane_weights == "validation"

    def adapt_configuration(self, plans: dict, configuration: str) -> None:
        """Set the batch size of the recipe, and a patch size that contains the dataset's largest case.

        So nnU-Net predicts a volume in one piece. Overlapping windows would cut planes and predict voxels repeatedly.
        """
        recipe = self.slice_recipe
        own = plans["configurations"][configuration]
        own["batch_size"] = recipe.batch_size
        resolved = PlansManager(plans).get_configuration(configuration)
        if len(resolved.patch_size) == 3:
            largest = largest_size(plans, resolved.spacing) or resolved.median_image_size_in_voxels
            own["patch_size"] = [min(math.ceil(n), LARGEST_PATCH) for n in largest]

    @classmethod
    def build_network(cls, request: NetworkRequest, recipe: Recipe) -> nn.Module:
        """Return the network of slices in the wrapper that also takes volumes."""
        recipe = cast("SliceRecipe", recipe)
        neighbours = cls.neighbours(recipe, request.configuration)
        network = build_slice_network(
            cls.architecture,
            cls.encoder,
            in_channels=request.in_channels * (1 + 2 * neighbours),
            classes=request.out_channels,
        )
        return ThreePlaneNetwork(
            network,
            axes=plane_axes(cls.planes(recipe), request.plans),
            weights=cls.plane_weights(recipe),
            learns_weights=cls.learns_plane_weights(recipe, request.configuration),
            stride=stride_of(network),
            slices_at_once=recipe.slices_at_once,
            scale=pixels_per_voxel(recipe, request.configuration.spacing),
            neighbours=neighbours,
        )

    def set_deep_supervision_enabled(self, enabled: bool) -> None:  # noqa: FBT001
        """Do nothing, since these networks have one output."""

    def _do_i_compile(self) -> bool:
        # Training has slices of three shapes, and prediction has volumes. Compiling for each costs more than it saves.
        return False

    def _build_loss(self) -> nn.Module:
        """Return the recipe's loss; with several GPUs, weighted by the size of each GPU's part of a batch."""
        loss = super()._build_loss()
        return WeightedLoss(loss) if self.is_ddp else loss

    def check_consistency(self) -> None:
        """Refuse, besides what every trainer refuses, preprocessed arrays whose axes are not z, y and x.

        Raises:
            SetupError: Data and plans were not made for each other (code "inconsistent").
            InputError: The axes are in another order, or are not recorded (code "invalid-dataset").
        """
        super().check_consistency()
        if self.needs_axes:
            with ending_without_traceback():
                check_axis_order(Path(self.preprocessed_dataset_folder), self.plans_manager)

    @property
    def needs_axes(self) -> bool:
        """True if planes must be known; configuration ``2d`` uses the slices that nnU-Net cuts."""
        return len(self.configuration_manager.patch_size) == 3

    def on_train_start(self) -> None:
        """Load the encoder's pretrained weights, unless other weights were loaded.

        Raises:
            SetupError: The weights are missing and cannot be downloaded.
            InputError: The file of the weights is damaged or does not fit.
        """
        if not self.was_initialized:
            self.initialize()
        weights = self.slice_recipe.encoder_weights
        if weights is not None and self.loaded_weights:
            self.print_to_log_file(f"The encoder keeps the weights that were loaded, instead of those of {weights}.")
        elif weights is not None:
            with ending_without_traceback():
                load_encoder_weights(
                    cast("ThreePlaneNetwork", self.bare_network).network,
                    self.encoder,
                    weights,
                    in_channels=self.num_input_channels
                    * (1 + 2 * self.neighbours(self.slice_recipe, self.configuration_manager)),
                )
        super().on_train_start()

    def on_train_epoch_start(self) -> None:
        """Reset the count of steps."""
        super().on_train_epoch_start()
        self._steps_of_epoch = 0

    def train_step(self, batch: dict) -> dict:
        """Train one step. The learning rate changes with each step, since the recipe has few epochs."""
        done = min(self._steps_of_epoch, self.num_iterations_per_epoch - 1)
        self.lr_scheduler.step(self.current_epoch + done / self.num_iterations_per_epoch)
        self._steps_of_epoch += 1
        self._weigh(batch)
        return super().train_step(batch)

    def validation_step(self, batch: dict) -> dict:
        """Validate one batch."""
        self._weigh(batch)
        return super().validation_step(batch)

    def _weigh(self, batch: dict) -> None:
        if isinstance(self.loss, WeightedLoss):
            self.loss.weight = batch["weight"]

    def finish_network(self) -> None:
        """Learn the weights of the planes from validation cases, if the recipe asks for it."""
        # A finished training that continues without an epoch has learned them already.
        is_new = self._plane_weights is None or self.trained_here
        if is_new and self.learns_plane_weights(self.slice_recipe, self.configuration_manager):
            found = learn_plane_weights(self, self.planes(self.slice_recipe), largest=LARGEST_PATCH)
            self.print_to_log_file(found.sentence)
            self._plane_weights = found.as_dict()

    def run_facts(self) -> dict[str, Any]:
        """Return the learned weights of the planes."""
        return super().run_facts() | ({} if self._plane_weights is None else {"plane_weights": self._plane_weights})

    def checkpoint_changes(self) -> dict[str, Any]:
        """Return the facts about learned weights of the planes; the weights themselves are in the network's state."""
        changes = super().checkpoint_changes()
        return changes if self._plane_weights is None else {**changes, _WEIGHTS_KEY: self._plane_weights}

    def read_checkpoint_changes(self, checkpoint: dict[str, Any]) -> None:
        """Read the facts about learned weights of the planes."""
        super().read_checkpoint_changes(checkpoint)
        self._plane_weights = checkpoint.get(_WEIGHTS_KEY)

    def has_one_value_per_channel(self, size: tuple[int, int]) -> bool:
        """Return True for slices as large as the network's stride, and for DeepLabV3, which pools each slice."""
        return self.encoder == "DeepLabV3" or max(size) <= cast("ThreePlaneNetwork", self.bare_network).stride


class FemurEndsTrainer(SliceTrainer):
    """Trainer on the first and the last axial slices with femur of each case, by default 20 at either end.

    Slices are counted on the CT's own grid, as in the study. If preprocessing changes the slice spacing, training uses
    the slices that cover the same length of bone.

    Only a reference mask shows the position of the ends, so prediction covers all axial slices. Score the region
    ``ends``: the first and the last 20 axial slices with femur in the reference mask.
    """

    ends_only = True

    @property
    def needs_axes(self) -> bool:
        """True, since the ends are axial slices under every configuration."""
        return True

    @classmethod
    def check_recipe(cls, recipe: Recipe, labels: LabelManager) -> None:
        """Refuse, besides what every trainer refuses, a recipe whose batches contain no slices of the ends.

        Raises:
            InputError: The recipe is invalid (code "invalid-recipe"), or the labels are not supported (code
                "unsupported").
        """
        super().check_recipe(recipe, labels)
        problem = problem_of_heads(cast("SliceRecipe", recipe))
        if problem is not None:
            refuse(problem)

    @classmethod
    def planes(cls, recipe: SliceRecipe) -> tuple[Plane, ...]:  # noqa: ARG003
        """Return the axial plane; the recipe's planes are those of the other slice trainers."""
        return ("axial",)

    @classmethod
    def plane_weights(cls, recipe: SliceRecipe) -> tuple[float, ...] | None:  # noqa: ARG003
        """Return None, since there is one plane."""
        return None

    def find_training_slices(self, data: nnUNetBaseDataset, axes: tuple[int, ...]) -> SliceTable:
        """Return the axial slices at both ends of the femur of each case."""
        with ending_without_traceback():
            axis = self._axial_axis()
        spacing_mm = self.configuration_manager.spacing
        number = self.slice_recipe.head_slices
        counts = []
        for case in data.identifiers:
            # nnU-Net records the CT's own spacing, before it transposes axes.
            original_mm = data.load_case(case)[3]["spacing"][0]
            # Configuration 2d does not change the slice spacing.
            resampled_mm = spacing_mm[axis] if len(spacing_mm) == 3 else original_mm
            counts.append(slices_at_each_end(number, original_mm=original_mm, resampled_mm=resampled_mm))
        return slices_of_ends(super().find_training_slices(data, axes), counts)

    def _axial_axis(self) -> int:
        """Return the axis that axial slices are across.

        Raises:
            InputError: The slices of configuration ``2d`` are not axial (code "invalid-option").
        """
        axis = plane_axes(("axial",), self.plans_manager)[0]
        if len(self.configuration_manager.patch_size) == 2 and axis != 0:
            msg = (
                f"{self.plans_manager.dataset_name}: the slices of configuration 2d are not axial in these plans, "
                "since the spacing is largest along another axis. Train with configuration 3d_fullres."
            )
            raise InputError(msg, code="invalid-option")
        return axis


def slices_at_each_end(number: int, *, original_mm: float, resampled_mm: float) -> int:
    """Return the number of preprocessed slices, at least 1, that cover the same length as slices of a CT.

    Args:
        number: Number of slices of the CT.
        original_mm: Spacing of the CT's axial slices in mm.
        resampled_mm: Spacing of the preprocessed slices in mm.

    Example:
        >>> slices_at_each_end(20, original_mm=2.0, resampled_mm=1.5)
        27
    """
    return max(1, round(number * original_mm / resampled_mm))


class WeightedLoss(nn.Module):
    """Loss times a weight that is set for each batch.

    The parts of a batch in several processes may differ by a slice, but PyTorch averages their gradients with equal
    weights. With the weight of :class:`~nnunet_femur.training.slices.slice_loader.SliceLoader`, the average is the
    gradient of the whole batch.

    Args:
        loss: The loss.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.weight = 1.0

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the weighted loss."""
        weighted: torch.Tensor = self.weight * self.loss(output, target)
        return weighted
