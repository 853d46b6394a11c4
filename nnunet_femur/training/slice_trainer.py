"""Trains a two-dimensional network on slices, inside nnU-Net."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_femur.networks.encoder_weights import load_encoder_weights
from nnunet_femur.networks.registry import build_slice_network, stride_of
from nnunet_femur.networks.three_planes import ThreePlaneNetwork
from nnunet_femur.training.femur_trainer import FemurTrainer, ending_without_traceback
from nnunet_femur.training.recipe import PLANES, SliceRecipe
from nnunet_femur.training.slice_loader import SliceLoader, count_femur_slices

if TYPE_CHECKING:
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
    from torch import nn

LARGEST_PATCH = 512
"""Voxels along an axis that are predicted in one piece; bounds the memory of long scans."""

_ROTATION_RAD = math.pi / 12


class SliceTrainer(FemurTrainer):
    """Trains on slices; predicts volumes plane by plane with configuration ``3d_fullres``, slices with ``2d``.

    Subclasses name an architecture and an encoder of :mod:`nnunet_femur.networks.registry`.
    """

    recipe_class = SliceRecipe
    deep_supervision = False
    architecture: ClassVar[str]
    encoder: ClassVar[str]

    @property
    def slice_recipe(self) -> SliceRecipe:
        """The recipe, which is one for slices."""
        return cast("SliceRecipe", self.recipe)

    def adapt_configuration(self, plans: dict, configuration: str) -> None:
        """Batches are slices, and a volume is predicted in one piece where it fits: no window cuts a plane."""
        recipe = self.slice_recipe
        own = plans["configurations"][configuration]
        own["batch_size"] = recipe.batch_size
        resolved = PlansManager(plans).get_configuration(configuration)
        if len(resolved.patch_size) == 3:
            own["patch_size"] = [min(math.ceil(n), LARGEST_PATCH) for n in resolved.median_image_size_in_voxels]

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
        recipe = cast(
            "SliceRecipe",
            cls.recipe_class.from_configuration(configuration_manager.configuration, cls.__name__),
        )
        network = build_slice_network(
            cls.architecture, cls.encoder, in_channels=num_input_channels, classes=num_output_channels
        )
        return ThreePlaneNetwork(
            network,
            axes=_axes(recipe, plans_manager),
            stride=stride_of(network),
            slices_at_once=recipe.slices_at_once,
        )

    def set_deep_supervision_enabled(self, enabled: bool) -> None:  # noqa: FBT001
        """Do nothing: these networks have one output."""

    def _do_i_compile(self) -> bool:
        # Slices of three shapes at training, volumes at prediction: compiled anew for each, at a loss.
        return False

    def on_train_start(self) -> None:
        """Load the encoder's pretrained weights, unless the training goes on from a checkpoint."""
        if not self.was_initialized:
            self.initialize()
        weights = self.slice_recipe.encoder_weights
        if weights is not None and not self.resumed:
            with ending_without_traceback():
                load_encoder_weights(
                    self._wrapper().network, self.encoder, weights, in_channels=self.num_input_channels
                )
        super().on_train_start()

    def _wrapper(self) -> ThreePlaneNetwork:
        return cast("ThreePlaneNetwork", self.network.module if self.is_ddp else self.network)

    def get_dataloaders(self) -> tuple[Any, Any]:
        """nnU-Net's loaders of training and validation batches, for slices of the recipe's planes."""
        training, validation = self.get_tr_and_val_datasets()
        axes = self._training_axes()
        # nnU-Net mirrors the axes of what it predicts, which are three where it predicts volumes.
        predicted = range(len(self.configuration_manager.patch_size))
        self.inference_allowed_mirroring_axes = tuple(predicted) if self.recipe.mirror else None
        if self.recipe.iterations_per_epoch is None:
            slices = count_femur_slices(training, axes)
            self.num_iterations_per_epoch = max(1, math.ceil(slices / self.batch_size))
            self.print_to_log_file(f"One epoch: {slices} slices with femur, {self.num_iterations_per_epoch} batches.")
        workers = get_allowed_n_proc_DA()
        train = self._augmenter(self._loader(training, axes, augment=self.recipe.augment), workers)
        val = self._augmenter(self._loader(validation, axes, augment=False), (workers + 1) // 2)
        # As nnU-Net does: the first batch shows at once whether loading works.
        next(train)
        next(val)
        return train, val

    def _training_axes(self) -> tuple[int, ...]:
        if len(self.configuration_manager.patch_size) == 2:
            return (0,)
        return _axes(self.slice_recipe, self.plans_manager)

    def _loader(self, data: nnUNetBaseDataset, axes: tuple[int, ...], *, augment: bool) -> SliceLoader:
        patch_size = self.configuration_manager.patch_size
        size = tuple(patch_size) if len(patch_size) == 2 else self.slice_recipe.slice_size
        mirror_axes = (0, 1) if self.recipe.mirror else None
        if augment:
            rotation = (-_ROTATION_RAD, _ROTATION_RAD)
            initial_size = get_patch_size(size, rotation, rotation, rotation, (0.85, 1.25))
            transforms = self.get_training_transforms(
                np.array(size), rotation, None, mirror_axes, do_dummy_2d_data_aug=False
            )
        else:
            initial_size = size
            transforms = self.get_validation_transforms(None)
        return SliceLoader(
            data,
            self.batch_size,
            initial_size,
            size,
            self.label_manager,
            axes=axes,
            foreground_fraction=self.oversample_foreground_percent,
            transforms=transforms,
        )

    def _augmenter(self, loader: SliceLoader, workers: int) -> Any:
        if workers == 0:
            return SingleThreadedAugmenter(loader, None)
        return NonDetMultiThreadedAugmenter(
            loader,
            None,
            num_processes=workers,
            num_cached=max(3, workers // 2),
            seeds=None,
            pin_memory=self.device.type == "cuda",
            wait_time=0.002,
        )


def _axes(recipe: SliceRecipe, plans_manager: PlansManager) -> tuple[int, ...]:
    """The axes of the preprocessed arrays across which the recipe's planes lie.

    Data are read in RAS order, where axial, coronal and sagittal slices lie across z, y and x; nnU-Net may then put
    another axis first.
    """
    return tuple(plans_manager.transpose_forward.index(PLANES.index(plane)) for plane in recipe.planes)
