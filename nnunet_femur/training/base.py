"""Base of all trainers: network, optimizer, loss, augmentation and seed from a recipe in the plans."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.robust_ce_loss import RobustCrossEntropyLoss
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_femur.atomic_files import write_json
from nnunet_femur.consistency import check_plans, resolve
from nnunet_femur.dataset.nnunet_names import PLANS_JSON
from nnunet_femur.errors import InputError, ending_without_traceback
from nnunet_femur.networks.precision import forbid_tensor_float, hold_to_float32
from nnunet_femur.recipe.hyperparameters import RECIPE_KEY, Recipe, refuse
from nnunet_femur.recipe.recipe_checks import recipe_of_configuration
from nnunet_femur.recipe.recipe_rules import problem_of_labels, problems_of_recipe
from nnunet_femur.records import read_json
from nnunet_femur.training.checked_trainer import CheckedTrainer
from nnunet_femur.training.experiment_logs import start_logs
from nnunet_femur.training.started_from import STARTED_FILE, Start, given_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
    from nnunetv2.utilities.label_handling.label_handling import LabelManager
    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager


@dataclass(frozen=True)
class NetworkRequest:
    """The network that nnU-Net asks a trainer for.

    Attributes:
        plans: nnU-Net's plans.
        configuration: The configuration of the plans.
        in_channels: Number of input channels.
        out_channels: Number of output channels.
        deep_supervision: True for an output at each resolution. nnU-Net asks for a single output at prediction.
    """

    plans: PlansManager
    configuration: ConfigurationManager
    in_channels: int
    out_channels: int
    deep_supervision: bool


class FemurTrainer(CheckedTrainer):
    """Trainer whose hyperparameters come from a recipe in the plans.

    Subclasses set the class of their recipe, and may override :meth:`build_network`, :meth:`check_recipe` and
    :meth:`adapt_configuration`. The arguments of ``__init__`` are nnU-Net's and must be exactly these.

    Attributes:
        recipe_class: Class of the trainer's recipe.
        deep_supervision: True for a loss at each resolution of the network.
        takes_slices: True for a network that is trained on two-dimensional slices.
    """

    recipe_class: ClassVar[type[Recipe]] = Recipe
    deep_supervision: ClassVar[bool] = True
    takes_slices: ClassVar[bool] = False
    inference_allowed_mirroring_axes: tuple[int, ...] | None

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008
    ) -> None:
        # A trainer may change its configuration, but not that of other trainers.
        plans = deepcopy(plans)
        with ending_without_traceback():
            self.recipe = self.read_recipe(plans, configuration)
            self.check_recipe(self.recipe, PlansManager(plans).get_label_manager(dataset_json))
        self.adapt_configuration(plans, configuration)
        super().__init__(plans, configuration, fold, dataset_json, device)
        with ending_without_traceback():
            start_logs(self)
        self.num_epochs = self.recipe.epochs
        self.num_val_iterations_per_epoch = self.recipe.validation_iterations
        if self.recipe.iterations_per_epoch is not None:
            self.num_iterations_per_epoch = self.recipe.iterations_per_epoch
        self.initial_lr = self.recipe.learning_rate
        self.weight_decay = self.recipe.weight_decay
        self.oversample_foreground_percent = self.recipe.foreground_fraction
        self.save_every = self.recipe.checkpoint_every
        self.enable_deep_supervision = self.deep_supervision
        self.loaded_weights = False
        if not self.recipe.half:
            # Gradients in float32 need no scaling.
            self.grad_scaler = None

    @classmethod
    def read_recipe(cls, plans: dict, configuration: str) -> Recipe:
        """Return this trainer's recipe under a configuration of the plans.

        Raises:
            InputError: The recipe has an unknown hyperparameter or an invalid value (code "invalid-recipe").
        """
        where = f"{plans.get('plans_name', 'plans')}.json, {RECIPE_KEY}"
        return recipe_of_configuration(cls.recipe_class, resolve(plans, configuration), cls.__name__, where=where)

    @classmethod
    def check_recipe(cls, recipe: Recipe, labels: LabelManager) -> None:
        """Refuse a recipe whose values do not fit each other or the dataset's labels.

        Raises:
            InputError: The recipe is invalid (code "invalid-recipe"), or the labels are not supported (code
                "unsupported").
        """
        for each in problems_of_recipe(recipe):
            refuse(each)
        problem = problem_of_labels(recipe, labels, slices=cls.takes_slices)
        if problem is not None:
            msg = f"dataset.json: this dataset {problem}."
            raise InputError(msg, code="unsupported")

    def adapt_configuration(self, plans: dict, configuration: str) -> None:
        """Change the plans of this run and of its checkpoints before nnU-Net reads them; by default, change nothing."""

    def initialize(self) -> None:
        """Build network, optimizer and loss. A seed in the recipe makes the random initial weights reproducible."""
        with ending_without_traceback():
            self._check_ranks()
        self._seed_generators(0)
        super().initialize()
        if not self.recipe.half:
            forbid_tensor_float()
        _call_after_loading(self.bare_network, self._note_loaded_weights)

    def _check_ranks(self) -> None:
        batch_size, ranks = self.configuration_manager.batch_size, self.ranks
        if batch_size < ranks:
            msg = (
                f"-num_gpus must not be more than the batch size, got {ranks} GPUs for a batch of {batch_size}. "
                f"Train with -num_gpus {batch_size}."
            )
            raise InputError(msg, code="invalid-option")

    def _note_loaded_weights(self) -> None:
        """Remember that weights were loaded, as nnU-Net does for ``-pretrained_weights``."""
        self.loaded_weights = True

    def on_train_start(self) -> None:
        """Complete and record the weights of ``-pretrained_weights``, then start as nnU-Net does."""
        if not self.resumed:
            self._start_from_weights()
        super().on_train_start()

    def _start_from_weights(self) -> None:
        """Load the layers that nnU-Net leaves out, if the weights were trained under the same plans."""
        file, record = given_weights(), Path(self.output_folder) / STARTED_FILE
        if file is None or not self.loaded_weights:
            if self.local_rank == 0:
                record.unlink(missing_ok=True)
            return
        start = Start.read(file, self.plans_manager.plans, self.configuration_manager.configuration)
        layers = start.left_out_by_nnunet(self.bare_network.state_dict())
        self.bare_network.load_state_dict(layers, strict=False)
        if self.local_rank == 0:
            write_json(record, start.facts)
        if start.is_of_other_fold(self.plans_manager.dataset_name, self.fold):
            self.print_to_log_file(
                f"WARNING: {file} was trained on fold {start.facts['fold']}, so also on validation cases of fold "
                f"{self.fold}. The validation scores of this training will be too high."
            )
        self.print_to_log_file(f"Started from {file}, with {len(layers)} tensors of segmentation layers: {start.facts}")

    def run_facts(self) -> dict[str, Any]:
        """Return the weights that the training started from, if they were given."""
        started = read_json(Path(self.output_folder) / STARTED_FILE)
        return super().run_facts() | ({} if started is None else {"started_from": started})

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Any]:
        """Return the recipe's optimizer and learning rate schedule."""
        recipe = self.recipe
        optimizer = self.build_optimizer(self.network.parameters())
        schedule = PolyLRScheduler(optimizer, recipe.learning_rate, recipe.epochs, exponent=recipe.decay_exponent)
        return optimizer, schedule

    def build_optimizer(self, parameters: Any) -> torch.optim.Optimizer:
        """Return the recipe's optimizer for parameters, or groups of them."""
        settings: dict[str, Any] = {"lr": self.recipe.learning_rate, "weight_decay": self.recipe.weight_decay}
        if self.recipe.optimizer == "SGD":
            settings |= {"momentum": 0.99, "nesterov": True}
        optimizer: torch.optim.Optimizer = getattr(torch.optim, self.recipe.optimizer)(parameters, **settings)
        return optimizer

    def _build_loss(self) -> torch.nn.Module:
        loss = super()._build_loss()
        if self.recipe.loss == "cross_entropy":
            ignored = {"ignore_index": self.label_manager.ignore_label} if self.label_manager.has_ignore_label else {}
            cross_entropy = RobustCrossEntropyLoss(**ignored)
            if not isinstance(loss, DeepSupervisionWrapper):
                return cross_entropy
            # The wrapper keeps nnU-Net's weights of the resolutions.
            loss.loss = cross_entropy
        return loss

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,  # noqa: FBT001, FBT002 - nnU-Net passes it by position
    ) -> torch.nn.Module:
        """Build the network of checked plans, at training and at prediction. Subclasses override build_network."""
        request = NetworkRequest(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )
        configuration = configuration_manager.configuration
        with ending_without_traceback():
            check_plans(plans_manager.plans, configuration, where=PLANS_JSON)
            recipe = recipe_of_configuration(cls.recipe_class, configuration, cls.__name__)
            network = cls.build_network(request, recipe)
        return network if recipe.half else hold_to_float32(network)

    @classmethod
    def build_network(cls, request: NetworkRequest, recipe: Recipe) -> torch.nn.Module:  # noqa: ARG003
        """Return the network of a request; by default, nnU-Net's own."""
        network: torch.nn.Module = nnUNetTrainer.build_network_architecture(
            request.plans,
            request.configuration,
            request.in_channels,
            request.out_channels,
            request.deep_supervision,
        )
        return network

    def get_training_transforms(self, *args: Any, **kwargs: Any) -> BasicTransform:
        """Return nnU-Net's transforms, or those of validation if the recipe switches augmentation off."""
        if self.recipe.augment:
            return nnUNetTrainer.get_training_transforms(*args, **kwargs)
        further = {name: kwargs.get(name) for name in ("is_cascaded", "foreground_labels", "regions", "ignore_label")}
        return self.get_validation_transforms(args[2], **further)

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple:  # noqa: N802 - nnU-Net's name
        """Return nnU-Net's choice of augmentation. Training and prediction mirror only if the recipe does."""
        rotation, dummy_2d, initial_patch_size, mirror_axes = (
            super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        if not (self.recipe.mirror and self.recipe.augment):
            mirror_axes = self.inference_allowed_mirroring_axes = None
        if not self.recipe.augment:
            # Without rotation, no margin around the patch is needed.
            initial_patch_size = self.configuration_manager.patch_size
        return rotation, dummy_2d, initial_patch_size, mirror_axes

    def on_epoch_start(self) -> None:
        """Seed the epoch, so that a killed and resumed run gets the batches of an uninterrupted one."""
        super().on_epoch_start()
        self._seed_generators(self.current_epoch)

    def _seed_generators(self, epoch: int) -> None:
        if self.recipe.seed is None:
            return
        number = self.recipe.seed + epoch
        if self.local_rank:
            # Each GPU draws its own patches and augmentation.
            number = int(np.random.SeedSequence((number, self.local_rank)).generate_state(1)[0])
        np.random.seed(number)  # noqa: NPY002 - the generator of nnU-Net's loaders
        torch.manual_seed(number)


def _call_after_loading(network: torch.nn.Module, note: Callable[[], None]) -> None:
    """Call a function each time weights have been loaded into a network."""
    # A function, not a method: copies of the network must not copy the trainer.
    network.register_load_state_dict_post_hook(lambda *_: note())
