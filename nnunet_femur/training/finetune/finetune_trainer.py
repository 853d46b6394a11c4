"""Trains TotalSegmentator's network further, from where it stands."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nnunet_femur.consistency import SOURCE_KEY, add_network_fingerprint, plan_command, resolve
from nnunet_femur.errors import InputError, SetupError, ending_without_traceback
from nnunet_femur.networks.merged_heads import answer_in_rows, answering_in_rows, merge_heads
from nnunet_femur.recipe.hyperparameters import FinetuneRecipe
from nnunet_femur.training.base import FemurTrainer
from nnunet_femur.training.finetune.parameter_groups import HEAD, GroupSchedule, parameter_groups
from nnunet_femur.training.finetune.weight_transfer import check_source, load_source
from nnunet_femur.weights import find_model, load_checkpoint

if TYPE_CHECKING:
    from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
    from nnunetv2.utilities.label_handling.label_handling import LabelManager
    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
    from torch import nn

    from nnunet_femur.recipe.hyperparameters import Recipe
    from nnunet_femur.weights import SourceModel

_RAW_WEIGHTS = "femur_raw_weights"
"""Key of a checkpoint that holds the weights behind the average, which a resumed training goes on from."""

_ELASTIC_SCALE = (0.1, 0.3)
"""Standard deviation of the smoothing of a random displacement field, as a part of the patch's edge."""

_ELASTIC_REACH = 0.05
"""Largest displacement, as a part of the patch's smallest edge."""


class FinetuneTrainer(FemurTrainer):
    """Starts from the weights that the plans were made for; see docs/transfer.md.

    With `keeps_heads`, all rows of the source's segmentation heads are kept and merged by maximum, so that the first
    prediction is the source's own; without, the heads are new and have two rows.
    """

    recipe_class = FinetuneRecipe
    keeps_heads: ClassVar[bool] = True
    _average: AveragedModel | None = None
    _raw_weights: dict[str, Any] | None = None
    _iteration = 0

    @property
    def finetune_recipe(self) -> FinetuneRecipe:
        """The recipe, which is one for fine-tuning."""
        return cast("FinetuneRecipe", self.recipe)

    @classmethod
    def check_recipe(cls, recipe: Recipe, labels: LabelManager) -> None:
        """Refuse also labels that the source's merged heads do not have.

        Raises:
            InputError: With the reason.
        """
        super().check_recipe(recipe, labels)
        if cls.keeps_heads and (labels.has_regions or labels.num_segmentation_heads != 2):
            msg = (
                f"dataset.json: {cls.__name__} keeps TotalSegmentator's heads, which tell femur from background. This "
                "dataset has other labels. Train FemurFinetunePaperTrainer, whose head is new."
            )
            raise InputError(msg)

    def adapt_configuration(self, plans: dict, configuration: str) -> None:
        """Refuse plans of another origin before nnU-Net makes a folder for the results."""
        super().adapt_configuration(plans, configuration)
        with ending_without_traceback():
            if any(argument.split("=")[0] == "-pretrained_weights" for argument in sys.argv):
                _refuse_pretrained_weights(type(self).__name__)
            _source_of(resolve(plans, configuration), type(self).__name__)

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,  # noqa: FBT001, FBT002 - nnU-Net passes it by position
    ) -> nn.Module:
        """The source's network, its heads merged. nnU-Net calls this at prediction too."""
        configuration = configuration_manager.configuration
        with ending_without_traceback():
            source = _source_of(configuration, cls.__name__)
        rows = source["outputs"] if cls.keeps_heads else num_output_channels
        network = super().build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, rows, enable_deep_supervision
        )
        if cls.keeps_heads:
            merge_heads(network, source["femur_rows"])
            if not enable_deep_supervision:
                # That is how nnU-Net asks for a network to predict with.
                answer_in_rows(network, plans_manager, rows=rows, femur_rows=source["femur_rows"])
        add_network_fingerprint(network, plans_manager.plans, configuration)
        return network

    def on_train_start(self) -> None:
        """Load the source's weights, unless the training goes on from a checkpoint."""
        if not self.resumed:
            with ending_without_traceback():
                if self.loaded_weights:
                    _refuse_pretrained_weights(type(self).__name__)
            # Before nnU-Net prepares anything: without weights there is nothing to prepare for.
            with ending_without_traceback():
                weights = load_checkpoint(self._source().checkpoint)["network_weights"]
            if not self.was_initialized:
                self.initialize()
            with ending_without_traceback():
                load_source(self.bare_network, weights, heads=self.keeps_heads)
        super().on_train_start()
        self._average = self._new_average()

    def _source(self) -> SourceModel:
        plans, configuration = self.plans_manager.plans, self.configuration_manager.configuration
        expected = _source_of(configuration, type(self).__name__)
        model = find_model(fast=expected["fast"])
        check_source(model, expected, plan=plan_command(plans, configuration))
        return model

    # ---- what is trained, and how fast

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Any]:
        """The recipe's optimizer with a learning rate for each stage of the network."""
        recipe = self.finetune_recipe
        groups = parameter_groups(self.bare_network, recipe)
        optimizer = self.build_optimizer(groups)
        return optimizer, GroupSchedule(optimizer, recipe, iterations_per_epoch=self.num_iterations_per_epoch)

    def on_train_epoch_start(self) -> None:
        """Hold everything but the heads still while they warm up."""
        resting = self.current_epoch < self.finetune_recipe.warmup_epochs
        changed = False
        for group in self.optimizer.param_groups:
            trained = group["name"] == HEAD or not resting
            for parameter in group["params"]:
                changed |= parameter.requires_grad != trained
                parameter.requires_grad_(trained)
        if changed and isinstance(self.network, DistributedDataParallel):
            # It waits for a gradient of every parameter that was trained when it was made.
            self.network = DistributedDataParallel(self.network.module, device_ids=self.network.device_ids)
        super().on_train_epoch_start()
        self._iteration = 0

    def train_step(self, batch: dict) -> dict:
        """One step of nnU-Net's at the learning rates of this iteration; then the average follows."""
        self.lr_scheduler.step(self.current_epoch, self._iteration)
        result = super().train_step(batch)
        self._iteration += 1
        if self._average is not None:
            self._average.update_parameters(self.bare_network)
        return result

    # ---- the average of the weights, which is what is validated, saved and predicted with

    def _new_average(self) -> AveragedModel | None:
        decay = self.finetune_recipe.average_decay
        if not decay:
            return None
        average = AveragedModel(self.bare_network, multi_avg_fn=get_ema_multi_avg_fn(decay))
        # It begins at the source's weights (or, resumed, where it was), not at those after the first step.
        average.n_averaged.fill_(1)
        if self._raw_weights is not None:
            self.bare_network.load_state_dict(self._raw_weights)
        return average

    def _exchange(self) -> None:
        """Put the average in the network's place, or back."""
        if self._average is not None:
            both = zip(self.bare_network.parameters(), self._average.module.parameters(), strict=True)
            for raw, averaged in both:
                raw.data, averaged.data = averaged.data, raw.data

    def on_validation_epoch_start(self) -> None:
        """Validate the average."""
        self._exchange()
        super().on_validation_epoch_start()

    def on_validation_epoch_end(self, val_outputs: list[dict]) -> None:
        """Go on with the weights behind the average."""
        super().on_validation_epoch_end(val_outputs)
        self._exchange()

    def on_train_end(self) -> None:
        """Save the last checkpoint; what is validated afterwards is what it holds."""
        super().on_train_end()
        self._exchange()
        self._average = None

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:  # noqa: FBT001, FBT002
        """nnU-Net's final validation, which predicts as ``nnUNetv2_predict`` does."""
        source = _source_of(self.configuration_manager.configuration, type(self).__name__)
        rows = {"rows": source["outputs"], "femur_rows": source["femur_rows"]}
        with answering_in_rows(self.bare_network, self.plans_manager, **rows) if self.keeps_heads else nullcontext():
            super().perform_actual_validation(save_probabilities)

    def checkpoint_changes(self) -> dict[str, Any]:
        """The average as the weights that nnU-Net predicts with; those behind it beside them."""
        if self._average is None:
            return {}
        return {
            "network_weights": self._average.module.state_dict(),
            _RAW_WEIGHTS: self.bare_network.state_dict(),
        }

    def load_checkpoint(self, filename_or_checkpoint: dict | str) -> None:
        """Go on from a checkpoint, or validate it."""
        super().load_checkpoint(filename_or_checkpoint)
        if not self.finetune_recipe.average_decay:
            return
        checkpoint = filename_or_checkpoint
        if not isinstance(checkpoint, dict):
            checkpoint = torch.load(checkpoint, map_location=self.device, weights_only=False)
        self._raw_weights = checkpoint.get(_RAW_WEIGHTS)

    # ---- augmentation

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple:  # noqa: N802 - nnU-Net's name
        """nnU-Net's choice of augmentation, but mirrored are left and right only, and nothing at prediction."""
        rotation, dummy_2d, initial_patch_size, _ = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        self.inference_allowed_mirroring_axes = None
        # Arrays are z, y, x before nnU-Net's transposition.
        left_right = (self.plans_manager.transpose_forward.index(2),)
        return rotation, dummy_2d, initial_patch_size, left_right if self.recipe.mirror else None

    def get_training_transforms(self, *args: Any, **kwargs: Any) -> BasicTransform:
        """nnU-Net's transforms with elastic deformation, which is off in nnU-Net's default."""
        transforms = super().get_training_transforms(*args, **kwargs)
        for transform in getattr(transforms, "transforms", ()):
            if isinstance(transform, SpatialTransform):
                transform.p_elastic_deform = self.finetune_recipe.elastic_fraction
                transform.elastic_deform_scale = _ELASTIC_SCALE
                transform.elastic_deform_magnitude = (0, _ELASTIC_REACH * min(transform.patch_size))
        return transforms


def _refuse_pretrained_weights(trainer: str) -> None:
    """Stop because of ``-pretrained_weights``.

    Raises:
        InputError: Always.
    """
    msg = (
        f"-pretrained_weights: {trainer} starts from TotalSegmentator's weights, which would replace these. "
        "Leave the option out, or train FemurScratchTrainer, which starts from any weights of the same network."
    )
    raise InputError(msg)


def _source_of(configuration: dict[str, Any], trainer: str) -> dict[str, Any]:
    """What the plans say about the model whose weights they were made for.

    Raises:
        SetupError: These plans are of another origin.
    """
    source: dict[str, Any] | None = configuration.get(SOURCE_KEY)
    if source is None:
        msg = (
            f"{trainer} trains TotalSegmentator's network further, but these plans are not TotalSegmentator's. Run: "
            "nnfemur plan -d N --from totalsegmentator"
        )
        raise SetupError(msg)
    return source
