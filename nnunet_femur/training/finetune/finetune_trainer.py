"""Trainer that fine-tunes TotalSegmentator's network."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from torch.nn.parallel import DistributedDataParallel

from nnunet_femur.consistency import SOURCE_KEY, add_network_fingerprint, plan_command, resolve
from nnunet_femur.errors import InputError, SetupError, ending_without_traceback
from nnunet_femur.networks.adapters import adapter_state, add_adapters, is_adapter, load_adapters
from nnunet_femur.networks.merged_heads import merge_channels, merge_heads, output_all_channels, outputting_all_channels
from nnunet_femur.recipe.hyperparameters import FinetuneRecipe
from nnunet_femur.training.finetune.choosing_trainer import ChoosingTrainer
from nnunet_femur.training.finetune.elastic_deformation import ElasticTransform
from nnunet_femur.training.finetune.parameter_groups import HEAD, GroupSchedule, group_of, parameter_groups
from nnunet_femur.training.finetune.weight_transfer import check_source, load_source, renamed_source
from nnunet_femur.training.started_from import Start, given_weights
from nnunet_femur.weights import find_model, load_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
    from nnunetv2.utilities.label_handling.label_handling import LabelManager
    from torch import nn

    from nnunet_femur.recipe.hyperparameters import Recipe
    from nnunet_femur.training.base import NetworkRequest
    from nnunet_femur.weights import SourceModel

_ADAPTERS = "femur_adapters"
"""Key of a checkpoint for the parameters of the adapters."""

_ELASTIC_SCALE = (0.1, 0.3)
"""Standard deviation of the smoothing of a random displacement field, as a fraction of the patch's edge."""

_ELASTIC_REACH = 0.05
"""Largest displacement, as a fraction of the patch's smallest edge."""


class FinetuneTrainer(ChoosingTrainer):
    """Trainer that starts from the weights that the plans were made for; see docs/transfer.md.

    Attributes:
        keeps_heads: True to keep all output channels of the source's segmentation heads and to merge them by maximum,
            so that the first prediction equals the source's. False for new heads with two output channels.
    """

    recipe_class = FinetuneRecipe
    keeps_heads: ClassVar[bool] = True
    _iteration = 0
    _adapters: dict[str, torch.Tensor] | None = None

    @classmethod
    def check_recipe(cls, recipe: Recipe, labels: LabelManager) -> None:
        """Refuse, besides what every trainer refuses, labels that the source's merged heads do not have.

        Raises:
            InputError: The recipe is invalid, or the labels are not background and femur (code "unsupported").
        """
        super().check_recipe(recipe, labels)
        if cls.keeps_heads and (labels.has_regions or labels.num_segmentation_heads != 2):
            msg = (
                f"dataset.json: {cls.__name__} keeps TotalSegmentator's segmentation heads, merged to background and "
                "femur, but this dataset has other labels. Train FemurFinetunePaperTrainer, whose heads are new."
            )
            raise InputError(msg, code="unsupported")

    def adapt_configuration(self, plans: dict, configuration: str) -> None:
        """Refuse plans that are not TotalSegmentator's before nnU-Net makes a folder for the results.

        Raises:
            InputError: The weights of ``-pretrained_weights`` are not those of a fine-tuning under the same plans (code
                "invalid-option").
            SetupError: The plans were not made for TotalSegmentator's weights (code "no-plans").
        """
        super().adapt_configuration(plans, configuration)
        with ending_without_traceback():
            resolved = resolve(plans, configuration)
            _source_of(resolved, type(self).__name__)
            if given_weights() is not None:
                self._require_own_weights(plans, resolved)

    def _require_own_weights(self, plans: dict, configuration: dict[str, Any]) -> None:
        """Refuse weights of ``-pretrained_weights`` that an earlier training of this trainer cannot have made.

        Raises:
            InputError: The weights are others (code "invalid-option").
        """
        name, file = type(self).__name__, given_weights()
        start = None if file is None or not file.is_file() else Start.read(file, plans, configuration)
        is_own = start is not None and start.facts["same_plans"] and start.facts["trainer"] == name
        if not is_own or self.finetune_recipe.trained_layers == "adapters":
            msg = (
                f"-pretrained_weights: {name} starts from TotalSegmentator's weights, or from a checkpoint of {name} "
                "under the same plans without adapters. Remove the option, or train FemurScratchTrainer, which starts "
                "from any weights of the same network."
            )
            raise InputError(msg, code="invalid-option")

    @classmethod
    def build_network(cls, request: NetworkRequest, recipe: Recipe) -> nn.Module:
        """Return the source's network with merged heads, or with new ones."""
        configuration = request.configuration.configuration
        source = _source_of(configuration, cls.__name__)
        if not cls.keeps_heads:
            network = super().build_network(request, recipe)
        else:
            channels, femur_channels = source["outputs"], source["femur_rows"]
            network = super().build_network(replace(request, out_channels=channels), recipe)
            merge_heads(network, femur_channels)
            if not request.deep_supervision:
                # nnU-Net asks for a network to predict with.
                output_all_channels(network, request.plans, channels=channels, femur_channels=femur_channels)
        finetune_recipe = cast("FinetuneRecipe", recipe)
        if request.deep_supervision and finetune_recipe.trained_layers == "adapters":
            # nnU-Net asks for a network to train. Checkpoints contain no adapters, so prediction needs none.
            add_adapters(network, rank=finetune_recipe.adapter_rank)
        add_network_fingerprint(network, request.plans.plans, configuration)
        return network

    def on_train_start(self) -> None:
        """Load the source's weights, unless the training starts or resumes from a checkpoint.

        Raises:
            InputError: Weights of another network were loaded before (code "invalid-option").
            SetupError: The source's weights are missing, damaged, or do not fit.
        """
        if self.loaded_weights and not self.resumed:
            with ending_without_traceback():
                self._require_own_weights(self.plans_manager.plans, self.configuration_manager.configuration)
        elif not self.resumed:
            with ending_without_traceback():
                # Missing weights are reported before nnU-Net prepares the training.
                weights = load_checkpoint(self._source().checkpoint)["network_weights"]
            if not self.was_initialized:
                self.initialize()
            with ending_without_traceback():
                load_source(self.bare_network, weights, heads=self.keeps_heads)
        super().on_train_start()
        if self._adapters is not None and self._choice is None:
            load_adapters(self.bare_network, self._adapters)
            self._adapters = None

    def _source(self) -> SourceModel:
        plans, configuration = self.plans_manager.plans, self.configuration_manager.configuration
        expected = _source_of(configuration, type(self).__name__)
        model = find_model(fast=expected["fast"])
        check_source(model, expected, plan=plan_command(plans, configuration))
        return model

    # ---- Trained parameters and their learning rates

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Any]:
        """Return the recipe's optimizer with a learning rate for each stage of the network, and its schedule."""
        recipe = self.finetune_recipe
        groups = parameter_groups(self.bare_network, recipe)
        optimizer = self.build_optimizer(groups)
        return optimizer, GroupSchedule(optimizer, recipe, iterations_per_epoch=self.num_iterations_per_epoch)

    def on_train_epoch_start(self) -> None:
        """Freeze the layers that the recipe excludes, and during the warm-up epochs all but the segmentation heads."""
        changed = False
        for name, parameter in self.bare_network.named_parameters():
            trained = self._trains(name)
            changed |= parameter.requires_grad != trained
            parameter.requires_grad_(trained)
        if changed and isinstance(self.network, DistributedDataParallel):
            # The wrapper waits for a gradient of each parameter that was trained when the wrapper was made.
            self.network = DistributedDataParallel(self.network.module, device_ids=self.network.device_ids)
        super().on_train_epoch_start()
        self._iteration = 0

    def _trains(self, name: str) -> bool:
        """Return True for the name of a parameter that is trained in this epoch."""
        group, recipe = group_of(name), self.finetune_recipe
        if group == HEAD or self.current_epoch < recipe.warmup_epochs:
            return group == HEAD
        if recipe.trained_layers == "adapters":
            return is_adapter(name)
        return recipe.trained_layers == "all" or group.startswith("decoder")

    def train_step(self, batch: dict) -> dict:
        """Train one step at the learning rates of this iteration."""
        self.lr_scheduler.step(self.current_epoch, self._iteration)
        result = super().train_step(batch)
        self._iteration += 1
        return result

    # ---- Prediction of whole volumes

    @contextmanager
    def predicting(self) -> Iterator[Callable[[torch.Tensor], torch.Tensor] | None]:
        """Output all channels of the network in a block, as in ``nnUNetv2_predict``, if it keeps the source's heads."""
        source = _source_of(self.configuration_manager.configuration, type(self).__name__)
        channels, femur_channels = source["outputs"], source["femur_rows"]
        if not self.keeps_heads:
            yield None
            return
        with outputting_all_channels(
            self.bare_network, self.plans_manager, channels=channels, femur_channels=femur_channels
        ):
            yield lambda logits: merge_channels(logits[None], femur_channels)[0]

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:  # noqa: FBT001, FBT002
        """Validate as nnU-Net does; all output channels leave the network, as in ``nnUNetv2_predict``."""
        with self.predicting():
            super().perform_actual_validation(save_probabilities)

    def source_weights(self) -> dict[str, torch.Tensor] | None:
        """Return the source's weights; None if its segmentation heads were replaced, so that it has another task."""
        if not self.keeps_heads:
            return None
        with ending_without_traceback():
            weights = load_checkpoint(self._source().checkpoint)["network_weights"]
        return renamed_source(self.bare_network, weights)

    # ---- Checkpoints

    def choose_weights(self) -> None:
        """Choose the final weights. They have no adapters; a longer training continues with those of the last."""
        if self.finetune_recipe.trained_layers == "adapters":
            self._adapters = adapter_state(self.bare_network)
        super().choose_weights()

    def checkpoint_changes(self) -> dict[str, Any]:
        """Return the adapters, which the weights contain already, for a resumed training."""
        changes = super().checkpoint_changes()
        if self.finetune_recipe.trained_layers == "adapters":
            changes[_ADAPTERS] = self._adapters or adapter_state(self.bare_network)
        return changes

    def read_checkpoint_changes(self, checkpoint: dict[str, Any]) -> None:
        """Read the adapters to resume with."""
        super().read_checkpoint_changes(checkpoint)
        self._adapters = checkpoint.get(_ADAPTERS) if self.finetune_recipe.trained_layers == "adapters" else None

    # ---- Augmentation

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple:  # noqa: N802 - nnU-Net's name
        """Return nnU-Net's choice of augmentation, but mirror only left and right, and only in training."""
        rotation, dummy_2d, initial_patch_size, _ = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        self.inference_allowed_mirroring_axes = None
        # Arrays have the axes z, y, x before nnU-Net's transposition.
        left_right = (self.plans_manager.transpose_forward.index(2),)
        return rotation, dummy_2d, initial_patch_size, left_right if self.recipe.mirror else None

    def get_training_transforms(self, *args: Any, **kwargs: Any) -> BasicTransform:
        """Return nnU-Net's transforms with elastic deformation, which nnU-Net switches off by default."""
        transforms = super().get_training_transforms(*args, **kwargs)
        members = getattr(transforms, "transforms", [])
        for place, transform in enumerate(members):
            if isinstance(transform, SpatialTransform):
                members[place] = ElasticTransform.of(
                    transform,
                    fraction=self.finetune_recipe.elastic_fraction,
                    scale=_ELASTIC_SCALE,
                    reach=_ELASTIC_REACH * min(transform.patch_size),
                )
        return transforms


def _source_of(configuration: dict[str, Any], trainer: str) -> dict[str, Any]:
    """Return the entry of a configuration about the model whose weights the plans were made for.

    Raises:
        SetupError: The plans lack the entry (code "no-plans").
    """
    source: dict[str, Any] | None = configuration.get(SOURCE_KEY)
    if source is None:
        msg = (
            f"{trainer} fine-tunes TotalSegmentator's network, but these plans were not made for it. Run: "
            "nnfemur plan -d N --from totalsegmentator"
        )
        raise SetupError(msg, code="no-plans")
    return source
