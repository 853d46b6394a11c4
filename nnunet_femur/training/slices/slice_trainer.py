"""Trains a two-dimensional network on slices, inside nnU-Net."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import torch
from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import nn

from nnunet_femur.consistency import check_plans
from nnunet_femur.errors import InputError, ending_without_traceback
from nnunet_femur.networks.precision import hold_to_float32
from nnunet_femur.networks.registry import build_slice_network, stride_of
from nnunet_femur.networks.three_planes import ThreePlaneNetwork
from nnunet_femur.recipe.hyperparameters import Plane, SliceRecipe
from nnunet_femur.recipe.recipe_checks import recipe_of_configuration
from nnunet_femur.recipe.recipe_rules import problem_of_passes
from nnunet_femur.training.lowest_loss import LowestLossTrainer
from nnunet_femur.training.slices.slice_geometry import check_axis_order, largest_size, pixels_per_voxel, plane_axes
from nnunet_femur.training.slices.slice_loader import SliceLoader, SliceWindow
from nnunet_femur.training.slices.slice_order import SliceOrder, SliceTable, find_slices
from nnunet_femur.weights.encoder_loading import load_encoder_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
    from numpy.typing import NDArray

LARGEST_PATCH = 512
"""Voxels along an axis that are predicted in one piece; bounds the memory of long scans."""

_ROTATION_RAD = math.pi / 12


class SliceTrainer(LowestLossTrainer):
    """Trains on slices; predicts volumes plane by plane with configuration ``3d_fullres``, slices with ``2d``.

    Subclasses name an architecture and an encoder of :mod:`nnunet_femur.networks.registry`.
    """

    recipe_class = SliceRecipe
    deep_supervision = False
    takes_slices = True
    architecture: ClassVar[str]
    encoder: ClassVar[str]
    _steps_of_epoch: int = 0

    @property
    def works_in_slices(self) -> bool:
        """True under every configuration: volumes are predicted plane by plane."""
        return True

    @property
    def slice_recipe(self) -> SliceRecipe:
        """The recipe, which is one for slices."""
        return cast("SliceRecipe", self.recipe)

    @property
    def keeps_lowest_loss(self) -> bool:
        """Whether the network of the lowest training loss is kept, as the recipe says."""
        return self.slice_recipe.keep == "lowest_loss"

    @classmethod
    def planes(cls, recipe: SliceRecipe) -> tuple[Plane, ...]:
        """The planes that are trained on and predicted in."""
        return recipe.planes

    @classmethod
    def plane_weights(cls, recipe: SliceRecipe) -> tuple[float, ...] | None:
        """What each plane counts in a volume's prediction; None for all the same."""
        return recipe.plane_weights

    def adapt_configuration(self, plans: dict, configuration: str) -> None:
        """Batches are slices, and volumes as large as the dataset's largest are predicted in one piece.

        Windows would cut planes, and what lies in several of them would be predicted as often.
        """
        recipe = self.slice_recipe
        own = plans["configurations"][configuration]
        own["batch_size"] = recipe.batch_size
        resolved = PlansManager(plans).get_configuration(configuration)
        if len(resolved.patch_size) == 3:
            largest = largest_size(plans, resolved.spacing) or resolved.median_image_size_in_voxels
            own["patch_size"] = [min(math.ceil(n), LARGEST_PATCH) for n in largest]

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = False,  # noqa: ARG003, FBT001, FBT002 - nnU-Net passes it by position
    ) -> nn.Module:
        """The network of slices in the wrapper that also takes volumes. nnU-Net calls this at prediction too."""
        with ending_without_traceback():
            check_plans(plans_manager.plans, configuration_manager.configuration, where="plans.json")
        recipe = recipe_of_configuration(cls.recipe_class, configuration_manager.configuration, cls.__name__)
        neighbours = cls.neighbours(recipe, configuration_manager)
        network = build_slice_network(
            cls.architecture,
            cls.encoder,
            in_channels=num_input_channels * (1 + 2 * neighbours),
            classes=num_output_channels,
        )
        wrapped = ThreePlaneNetwork(
            network,
            axes=plane_axes(cls.planes(recipe), plans_manager),
            weights=cls.plane_weights(recipe),
            stride=stride_of(network),
            slices_at_once=recipe.slices_at_once,
            scale=pixels_per_voxel(recipe, configuration_manager.spacing),
            neighbours=neighbours,
        )
        return wrapped if recipe.half else hold_to_float32(wrapped)

    @classmethod
    def neighbours(cls, recipe: SliceRecipe, configuration_manager: ConfigurationManager) -> int:
        """Slices on either side that are seen too; none with ``2d``, where nnU-Net predicts slice by slice."""
        return recipe.neighbours if len(configuration_manager.patch_size) == 3 else 0

    def set_deep_supervision_enabled(self, enabled: bool) -> None:  # noqa: FBT001
        """Do nothing: these networks have one output."""

    def _do_i_compile(self) -> bool:
        # Slices of three shapes at training, volumes at prediction: compiled anew for each, at a loss.
        return False

    def _build_loss(self) -> nn.Module:
        """Return the recipe's loss; with several GPUs, weighted by the size of each one's part of a batch."""
        loss = super()._build_loss()
        return WeightedLoss(loss) if self.is_ddp else loss

    def check_consistency(self) -> None:
        """End the process also where the axes of the preprocessed arrays are not z, y and x."""
        super().check_consistency()
        if self.needs_axes:
            with ending_without_traceback():
                check_axis_order(Path(self.preprocessed_dataset_folder), self.plans_manager)

    @property
    def needs_axes(self) -> bool:
        """True where planes are named; configuration ``2d`` takes the slices that nnU-Net has chosen."""
        return len(self.configuration_manager.patch_size) == 3

    def on_train_start(self) -> None:
        """Load the encoder's pretrained weights, unless other weights were loaded."""
        if not self.was_initialized:
            self.initialize()
        weights = self.slice_recipe.encoder_weights
        if weights is not None and self.loaded_weights:
            self.print_to_log_file(f"The encoder keeps the weights that were loaded, not those of {weights}.")
        elif weights is not None:
            with ending_without_traceback():
                load_encoder_weights(
                    self._wrapper().network,
                    self.encoder,
                    weights,
                    in_channels=self.num_input_channels
                    * (1 + 2 * self.neighbours(self.slice_recipe, self.configuration_manager)),
                )
        super().on_train_start()

    def on_train_epoch_start(self) -> None:
        """Begin the epoch's count of steps."""
        super().on_train_epoch_start()
        self._steps_of_epoch = 0

    def train_step(self, batch: dict) -> dict:
        """nnU-Net's step; the learning rate follows its schedule by the step, since epochs are few."""
        done = min(self._steps_of_epoch, self.num_iterations_per_epoch - 1)
        self.lr_scheduler.step(self.current_epoch + done / self.num_iterations_per_epoch)
        self._steps_of_epoch += 1
        self._weigh(batch)
        return super().train_step(batch)

    def validation_step(self, batch: dict) -> dict:
        """nnU-Net's step."""
        self._weigh(batch)
        return super().validation_step(batch)

    def _weigh(self, batch: dict) -> None:
        if isinstance(self.loss, WeightedLoss):
            self.loss.weight = batch["weight"]

    def _wrapper(self) -> ThreePlaneNetwork:
        return cast("ThreePlaneNetwork", self.bare_network)

    def get_dataloaders(self) -> tuple[Any, Any]:
        """nnU-Net's loaders of training and validation batches, for slices of the recipe's planes.

        No batch is drawn to try them, as nnU-Net does: an epoch that is one pass would begin without it.
        """
        training, validation = self.get_tr_and_val_datasets()
        recipe = self.slice_recipe
        axes = self._training_axes()
        self.inference_allowed_mirroring_axes = self._mirrored_axes()
        workers = get_allowed_n_proc_DA()
        seed = self._seed_of_order()
        train = self._loader(training, axes, recipe.iterations_per_epoch, seed, augment=recipe.augment, workers=workers)
        with ending_without_traceback():
            self._check_passes(train)
        self.num_iterations_per_epoch = train.order.batches_per_epoch
        self.print_to_log_file(
            f"{len(train.table)} slices with femur, {self.num_iterations_per_epoch} batches an epoch."
        )
        few = (workers + 1) // 2
        val = self._loader(validation, axes, recipe.validation_iterations, seed, augment=False, workers=few)
        return self._augmenter(train, workers), self._augmenter(val, few)

    def _mirrored_axes(self) -> tuple[int, ...] | None:
        """Axes of what is predicted that training mirrors; None for none.

        Those are the axes within its slices, and across them if slices have neighbours, whose order is then reversed.
        """
        recipe = self.slice_recipe
        if not (recipe.mirror and recipe.augment):
            return None
        if len(self.configuration_manager.patch_size) == 2:
            return (0, 1)
        seen = bool(self.neighbours(recipe, self.configuration_manager))
        across = self._training_axes()
        return tuple(axis for axis in range(3) if any(axis != other or seen for other in across))

    def _check_passes(self, train: SliceLoader) -> None:
        """Refuse batches that cannot be dealt out or normalised.

        Raises:
            InputError: With the reason.
        """
        order = train.order
        # The pyramid of DeepLabV3 pools each slice to one value; so does a slice as large as the network's stride.
        pooled = self.encoder == "DeepLabV3" or max(train.window.size) <= self._wrapper().stride
        problem = problem_of_passes(
            slices=len(train.table),
            ranks=train.ranks,
            smallest_batch=order.smallest_batch + train.others,
            one_value_per_channel=pooled,
        )
        if problem is not None:
            msg = f"{self.plans_manager.dataset_name}, fold {self.fold}: {problem}."
            raise InputError(msg)

    def find_training_slices(self, data: nnUNetBaseDataset, axes: tuple[int, ...]) -> SliceTable:
        """The slices that an epoch passes over: all that hold femur."""
        return find_slices(_masks(data), axes)

    def _training_axes(self) -> tuple[int, ...]:
        if len(self.configuration_manager.patch_size) == 2:
            return (0,)
        return plane_axes(self.planes(self.slice_recipe), self.plans_manager)

    def _seed_of_order(self) -> int:
        """The recipe's seed or one by chance, the same in all processes that train together."""
        seed = [
            self.recipe.seed if self.recipe.seed is not None else int(np.random.SeedSequence().generate_state(1)[0])
        ]
        if self.is_ddp:
            torch.distributed.broadcast_object_list(seed)
        return seed[0]

    def _loader(
        self,
        data: nnUNetBaseDataset,
        axes: tuple[int, ...],
        iterations: int | None,
        seed: int,
        *,
        augment: bool,
        workers: int,
    ) -> SliceLoader:
        recipe = self.slice_recipe
        size = recipe.slice_size
        patch_size = self.configuration_manager.patch_size
        if len(patch_size) == 2:
            size = (int(patch_size[0]), int(patch_size[1]))
        margin = (0, 0)
        mirrored = False
        transforms = self.get_validation_transforms(None)
        if augment:
            rotation = (-_ROTATION_RAD, _ROTATION_RAD)
            larger = get_patch_size(size, rotation, rotation, rotation, (0.85, 1.25))
            margin = (int(larger[0]) - size[0], int(larger[1]) - size[1])
            mirrored = recipe.mirror
            mirror_axes = (0, 1) if mirrored else None
            transforms = self.get_training_transforms(
                np.array(size), rotation, None, mirror_axes, do_dummy_2d_data_aug=False
            )
        table = self.find_training_slices(data, axes)
        # Batches of all GPUs together: nnU-Net's own batch_size is that of this process.
        batch_size = self.configuration_manager.batch_size
        femur = slices_with_femur(batch_size, recipe.foreground_fraction) if len(table) else 0
        order = SliceOrder(len(table), per_batch=femur, iterations=iterations, seed=seed)
        return SliceLoader(
            data,
            table=table,
            order=order,
            axes=axes,
            window=SliceWindow(
                size=size,
                margin=margin,
                scale=pixels_per_voxel(recipe, self.configuration_manager.spacing),
                neighbours=self.neighbours(recipe, self.configuration_manager),
                reversed_neighbours=mirrored,
            ),
            others=batch_size - femur,
            transforms=transforms,
            workers=workers,
            first=self.current_epoch * order.batches_per_epoch,
            rank=self.local_rank,
            ranks=self.ranks,
        )

    def _augmenter(self, loader: SliceLoader, workers: int) -> Any:
        if workers == 0:
            loader.read_ahead()
            return SingleThreadedAugmenter(loader, None)
        # The one that takes from its workers in turn: batches come in their order.
        augmenter = MultiThreadedAugmenter(
            loader, None, num_processes=workers, pin_memory=self.device.type == "cuda", wait_time=0.002
        )
        augmenter.restart()
        return augmenter


class WeightedLoss(nn.Module):
    """A loss times a weight that is set for each batch.

    Processes that train together have parts of a batch that differ by a slice, and PyTorch averages their gradients as
    if they did not. With the weight of :class:`SliceLoader` the average is the gradient of the whole batch.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.weight = 1.0

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the weighted loss."""
        weighted: torch.Tensor = self.weight * self.loss(output, target)
        return weighted


def slices_with_femur(batch_size: int, foreground_fraction: float) -> int:
    """Slices of a batch that are drawn from those with femur: none for a fraction of 0, else at least one."""
    return max(1, round(batch_size * foreground_fraction)) if foreground_fraction > 0 else 0


def _masks(data: nnUNetBaseDataset) -> Iterator[NDArray[np.bool_]]:
    for case in data.identifiers:
        yield data.load_case(case)[1][0] > 0
