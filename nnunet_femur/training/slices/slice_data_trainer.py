"""Batches of slices for a trainer: planes, windows, order and augmentation by the recipe."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

from nnunet_femur.errors import InputError, ending_without_traceback
from nnunet_femur.networks.oblique_planes import OBLIQUE
from nnunet_femur.recipe.hyperparameters import SliceRecipe
from nnunet_femur.recipe.recipe_rules import problem_of_passes
from nnunet_femur.training.lowest_loss import LowestLossTrainer
from nnunet_femur.training.slices.slice_geometry import SliceWindow, pixels_per_voxel, plane_axes
from nnunet_femur.training.slices.slice_loader import SliceLoader
from nnunet_femur.training.slices.slice_order import SliceOrder, SliceTable, find_slices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
    from numpy.typing import NDArray

    from nnunet_femur.recipe.slice_planes import Plane

_ROTATION_RAD = math.pi / 12
_SCALING = (0.85, 1.25)
"""Rotation in radians and scaling of augmented slices that their margins leave room for."""


class SliceDataTrainer(LowestLossTrainer):
    """Trainer that draws batches of slices from nnU-Net's preprocessed volumes. Subclasses build the network."""

    recipe_class = SliceRecipe
    takes_slices = True

    @property
    def slice_recipe(self) -> SliceRecipe:
        """The recipe, typed as one for slices."""
        return cast("SliceRecipe", self.recipe)

    @classmethod
    def planes(cls, recipe: SliceRecipe) -> tuple[Plane, ...]:
        """Return the planes of training and prediction."""
        return recipe.planes

    @classmethod
    def neighbours(cls, recipe: SliceRecipe, configuration_manager: ConfigurationManager) -> int:
        """Return the number of neighbours on either side; 0 with ``2d``, where nnU-Net predicts single slices."""
        return recipe.neighbours if len(configuration_manager.patch_size) == 3 else 0

    def has_one_value_per_channel(self, size: tuple[int, int]) -> bool:  # noqa: ARG002
        """Return True if the network's deepest features of a slice of this size are one value for each channel.

        Batch normalisation cannot normalise such features in a batch of one slice.
        """
        return False

    def get_dataloaders(self) -> tuple[Any, Any]:
        """Return the loaders of training and validation batches, for slices of the recipe's planes.

        nnU-Net draws a batch to start its loaders. Here no batch is drawn, since the first pass would lack it.

        Raises:
            InputError: The slices cannot be distributed over batches (code "invalid-recipe").
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

    def find_training_slices(self, data: nnUNetBaseDataset, axes: tuple[int, ...]) -> SliceTable:
        """Return the slices that an epoch passes over: all that contain femur."""
        scale = pixels_per_voxel(self.slice_recipe, self.configuration_manager.spacing)
        return find_slices(_masks(data), axes, scale)

    def _check_passes(self, train: SliceLoader) -> None:
        """Refuse batches that cannot be distributed over processes, or cannot be normalised.

        Raises:
            InputError: With the reason (code "invalid-recipe").
        """
        order = train.order
        problem = problem_of_passes(
            slices=len(train.table),
            ranks=train.ranks,
            smallest_batch=order.smallest_batch + train.others,
            one_value_per_channel=self.has_one_value_per_channel(train.window.size),
        )
        if problem is not None:
            msg = f"{self.plans_manager.dataset_name}, fold {self.fold}: {problem}."
            raise InputError(msg, code="invalid-recipe")

    def _mirrored_axes(self) -> tuple[int, ...] | None:
        """Return the axes of a predicted volume that training mirrors; None if it mirrors none.

        These are the axes within its slices, and also those across them if slices have neighbours, whose order is
        reversed. A volume with oblique planes is mirrored along their third axes; other axes turn a plane into the one
        of the other sign, which must then be one of the planes too.
        """
        recipe = self.slice_recipe
        if not (recipe.mirror and recipe.augment):
            return None
        if len(self.configuration_manager.patch_size) == 2:
            return (0, 1)
        seen = bool(self.neighbours(recipe, self.configuration_manager))
        across = self._training_axes()
        straight = [other for other in across if other not in OBLIQUE]
        oblique = {OBLIQUE[other] for other in across if other in OBLIQUE}

        def is_trained(axis: int) -> bool:
            """Return True if mirroring along an axis changes slices, and each of them into one that training sees."""
            turned = {replace(plane, sign=-plane.sign) for plane in oblique if plane.third != axis}
            return turned <= oblique and (bool(oblique) or any(axis != other or seen for other in straight))

        return tuple(axis for axis in range(3) if is_trained(axis))

    def _training_axes(self) -> tuple[int, ...]:
        if len(self.configuration_manager.patch_size) == 2:
            return (0,)
        return plane_axes(self.planes(self.slice_recipe), self.plans_manager)

    def _seed_of_order(self) -> int:
        """Return the recipe's seed or a random one, the same in all processes that train together."""
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
        """Return a loader of slices by the recipe.

        Args:
            data: The preprocessed cases.
            axes: The spatial axes (0 is z) that slices are across, and numbers of oblique planes.
            iterations: Number of batches in an epoch; None for one pass over the slices with femur.
            seed: Seed of the order.
            augment: True for the slices of the training.
            workers: Number of processes that load batches.
        """
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
            larger = get_patch_size(size, rotation, rotation, rotation, _SCALING)
            margin = (int(larger[0]) - size[0], int(larger[1]) - size[1])
            mirrored = recipe.mirror
            mirror_axes = (0, 1) if mirrored else None
            transforms = self.get_training_transforms(
                np.array(size), rotation, None, mirror_axes, do_dummy_2d_data_aug=False
            )
        table = self.find_training_slices(data, axes)
        # The batch size of all GPUs together; nnU-Net's own batch_size is that of this process.
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
        # This augmenter takes batches from its workers in turn, so they keep their order.
        augmenter = MultiThreadedAugmenter(
            loader, None, num_processes=workers, pin_memory=self.device.type == "cuda", wait_time=0.002
        )
        augmenter.restart()
        return augmenter


def slices_with_femur(batch_size: int, foreground_fraction: float) -> int:
    """Return the number of slices in a batch that are drawn from those with femur.

    Args:
        batch_size: Number of slices in the batch.
        foreground_fraction: Fraction of slices with femur.

    Returns:
        0 for a fraction of 0, else at least 1.

    Example:
        >>> slices_with_femur(16, 0.5), slices_with_femur(16, 0.01)
        (8, 1)
    """
    return max(1, round(batch_size * foreground_fraction)) if foreground_fraction > 0 else 0


def _masks(data: nnUNetBaseDataset) -> Iterator[NDArray[np.bool_]]:
    for case in data.identifiers:
        yield data.load_case(case)[1][0] > 0
