"""What all trainers of this package share: a recipe from the plans, checked folds, safe checkpoints, ``run.json``."""

from __future__ import annotations

import sys
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.robust_ce_loss import RobustCrossEntropyLoss
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch.nn.parallel import DistributedDataParallel

from nnunet_femur.atomic_files import write_json, written_beside
from nnunet_femur.consistency import check_data, check_plans, check_same, fingerprint, resolve
from nnunet_femur.dataset.folds import SPLITS_FILE, choose_fold
from nnunet_femur.errors import InputError, ending_without_traceback
from nnunet_femur.networks.precision import hold_to_float32
from nnunet_femur.recipe.hyperparameters import RECIPE_KEY, Recipe, refuse
from nnunet_femur.recipe.recipe_checks import recipe_of_configuration
from nnunet_femur.recipe.recipe_rules import problem_of_labels, problems_of_recipe
from nnunet_femur.training.run_record import run_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
    from nnunetv2.utilities.label_handling.label_handling import LabelManager
    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager


class FemurTrainer(nnUNetTrainer):
    """An nnUNetTrainer whose hyper-parameters come from a recipe that travels in the plans.

    Subclasses name the class of their recipe. The arguments are nnU-Net's and must be exactly these.
    """

    recipe_class: ClassVar[type[Recipe]] = Recipe
    deep_supervision: ClassVar[bool] = True
    takes_slices: ClassVar[bool] = False
    ends_only: ClassVar[bool] = False
    """True for a trainer on the ends of the femur alone, which predicts no whole femurs."""
    network: Any
    inference_allowed_mirroring_axes: tuple[int, ...] | None

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008
    ) -> None:
        # A copy, since a trainer may change its configuration and must not change that of others.
        plans = deepcopy(plans)
        with ending_without_traceback():
            self.recipe = self.read_recipe(plans, configuration)
            self.check_recipe(self.recipe, PlansManager(plans).get_label_manager(dataset_json))
        self.adapt_configuration(plans, configuration)
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = self.recipe.epochs
        self.num_val_iterations_per_epoch = self.recipe.validation_iterations
        if self.recipe.iterations_per_epoch is not None:
            self.num_iterations_per_epoch = self.recipe.iterations_per_epoch
        self.initial_lr = self.recipe.learning_rate
        self.weight_decay = self.recipe.weight_decay
        self.oversample_foreground_percent = self.recipe.foreground_fraction
        self.save_every = self.recipe.checkpoint_every
        self.enable_deep_supervision = self.deep_supervision
        self.resumed = False
        self.loaded_weights = False
        self._epochs_here = 0
        if not self.recipe.half:
            # Gradients in float32 need no scaling.
            self.grad_scaler = None

    @classmethod
    def read_recipe(cls, plans: dict, configuration: str) -> Recipe:
        """This trainer's recipe under a configuration of the plans.

        Raises:
            InputError: As :func:`~nnunet_femur.recipe.recipe_checks.recipe_of_configuration`.
        """
        where = f"{plans.get('plans_name', 'plans')}.json, {RECIPE_KEY}"
        return recipe_of_configuration(cls.recipe_class, resolve(plans, configuration), cls.__name__, where=where)

    @classmethod
    def check_recipe(cls, recipe: Recipe, labels: LabelManager) -> None:
        """Refuse a recipe whose values do not fit each other or the dataset's labels.

        Raises:
            InputError: With the reason.
        """
        for each in problems_of_recipe(recipe):
            refuse(each)
        problem = problem_of_labels(recipe, labels, slices=cls.takes_slices)
        if problem is not None:
            msg = f"dataset.json: this dataset {problem}."
            raise InputError(msg)

    def adapt_configuration(self, plans: dict, configuration: str) -> None:
        """Change the plans that this run trains under, and that its checkpoints carry, before nnU-Net reads them."""

    def initialize(self) -> None:
        """Build network, optimizer and loss; under a seed, with the same random weights each time."""
        with ending_without_traceback():
            self._check_ranks()
        self._seed_generators(0)
        super().initialize()
        if not self.recipe.half:
            # TensorFloat-32 keeps 10 bits of a float32's 23; PyTorch allows it in convolutions unless told otherwise.
            torch.backends.cudnn.allow_tf32 = False
            torch.backends.cuda.matmul.allow_tf32 = False
        _call_after_loading(self.bare_network, self._note_loaded_weights)

    def _check_ranks(self) -> None:
        batch_size, ranks = self.configuration_manager.batch_size, self.ranks
        if batch_size < ranks:
            msg = f"A batch of {batch_size} cannot be dealt out to {ranks} GPUs. Train with -num_gpus {batch_size}."
            raise InputError(msg)

    @property
    def ranks(self) -> int:
        """Processes that train together."""
        return int(torch.distributed.get_world_size()) if self.is_ddp else 1

    def _note_loaded_weights(self) -> None:
        """Remember that weights came from elsewhere, as nnU-Net loads those of ``-pretrained_weights``."""
        self.loaded_weights = True

    def do_split(self) -> tuple[list[str], list[str]]:
        """The cases to train and to validate on, from the checked folds of the dataset."""
        if self.fold == "all":
            return super().do_split()
        cases = self.dataset_class.get_identifiers(self.preprocessed_dataset_folder)
        with ending_without_traceback():
            fold = choose_fold(Path(self.preprocessed_dataset_folder_base) / SPLITS_FILE, cases, self.fold)
        return list(fold.train), list(fold.val)

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Any]:
        """The recipe's optimizer and schedule."""
        recipe = self.recipe
        optimizer = self.build_optimizer(self.network.parameters())
        schedule = PolyLRScheduler(optimizer, recipe.learning_rate, recipe.epochs, exponent=recipe.decay_exponent)
        return optimizer, schedule

    def build_optimizer(self, parameters: Any) -> torch.optim.Optimizer:
        """The recipe's optimizer for parameters, or groups of them."""
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
            # The weights of the resolutions stay nnU-Net's.
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
        """nnU-Net's network of checked plans. nnU-Net calls this at prediction too."""
        with ending_without_traceback():
            check_plans(plans_manager.plans, configuration_manager.configuration, where="plans.json")
            recipe = recipe_of_configuration(cls.recipe_class, configuration_manager.configuration, cls.__name__)
        network = nnUNetTrainer.build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )
        return network if recipe.half else hold_to_float32(network)

    def get_training_transforms(self, *args: Any, **kwargs: Any) -> BasicTransform:
        """nnU-Net's transforms, or no more than a validation has where the recipe has no augmentation."""
        if self.recipe.augment:
            return nnUNetTrainer.get_training_transforms(*args, **kwargs)
        further = {name: kwargs.get(name) for name in ("is_cascaded", "foreground_labels", "regions", "ignore_label")}
        return self.get_validation_transforms(args[2], **further)

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple:  # noqa: N802 - nnU-Net's name
        """nnU-Net's choice of augmentation; nothing is mirrored, at prediction neither, unless training mirrors it."""
        rotation, dummy_2d, initial_patch_size, mirror_axes = (
            super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        if not (self.recipe.mirror and self.recipe.augment):
            mirror_axes = self.inference_allowed_mirroring_axes = None
        if not self.recipe.augment:
            # Nothing turns the patch, so nothing is needed around it.
            initial_patch_size = self.configuration_manager.patch_size
        return rotation, dummy_2d, initial_patch_size, mirror_axes

    def on_epoch_start(self) -> None:
        """Seed the epoch, so that a run that was killed and resumed sees the batches of one that was not."""
        super().on_epoch_start()
        self._seed_generators(self.current_epoch)

    def on_epoch_end(self) -> None:
        """Count the epochs that this process has trained."""
        super().on_epoch_end()
        self._epochs_here += 1

    def _seed_generators(self, epoch: int) -> None:
        if self.recipe.seed is None:
            return
        number = self.recipe.seed + epoch
        if self.local_rank:
            # Other patches and other augmentation on each GPU.
            number = int(np.random.SeedSequence((number, self.local_rank)).generate_state(1)[0])
        np.random.seed(number)  # noqa: NPY002 - the generator of nnU-Net's loaders
        torch.manual_seed(number)

    def save_checkpoint(self, filename: str) -> None:
        """Write the checkpoint whole or not at all: a half-written one could not be resumed from."""
        if self.local_rank != 0 or self.disable_checkpointing:
            super().save_checkpoint(filename)
            return
        with written_beside(Path(filename)) as partial:
            super().save_checkpoint(str(partial))
            changes = self.checkpoint_changes()
            if changes:
                torch.save({**torch.load(partial, map_location="cpu", weights_only=False), **changes}, partial)

    def checkpoint_changes(self) -> dict[str, Any]:
        """What a checkpoint holds beside, or in place of, nnU-Net's entries."""
        return {}

    def load_checkpoint(self, filename_or_checkpoint: dict | str) -> None:
        """Go on from a checkpoint of the same plans; its weights are not replaced by pretrained ones."""
        super().load_checkpoint(filename_or_checkpoint)
        with ending_without_traceback():
            trained_under = self.my_init_kwargs["plans"]
            check_same(
                fingerprint(trained_under, resolve(trained_under, self.configuration_name)),
                self.plans_manager.plans,
                self.configuration_manager.configuration,
                where=str(filename_or_checkpoint),
            )
        self.resumed = True

    def on_train_start(self) -> None:
        """Check that data and plans belong together, then start as nnU-Net does."""
        self.check_consistency()
        super().on_train_start()

    def check_consistency(self) -> None:
        """End the process where plans were changed, or data were preprocessed under other plans."""
        plans, configuration = self.plans_manager.plans, self.configuration_manager.configuration
        with ending_without_traceback():
            check_plans(plans, configuration, where=f"{self.plans_manager.plans_name}.json")
            check_data(Path(self.preprocessed_dataset_folder), plans, configuration)

    @property
    def works_in_slices(self) -> bool:
        """True if the network works slice by slice; recorded, since the study's protocol scores such methods apart."""
        return len(self.configuration_manager.patch_size) == 2

    @property
    def bare_network(self) -> torch.nn.Module:
        """The network without the wrappers of nnU-Net for several GPUs and for compilation."""
        network = self.network.module if isinstance(self.network, DistributedDataParallel) else self.network
        return getattr(network, "_orig_mod", network)

    def on_train_end(self) -> None:
        """Finish as nnU-Net does; afterwards ``run.json`` describes this training.

        A process that trained no epoch, such as one that only repeats the validation, leaves an existing record alone.
        """
        super().on_train_end()
        self._write_record(overwrite=self._epochs_here > 0)

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:  # noqa: FBT001, FBT002
        """nnU-Net's final validation."""
        self.check_consistency()
        if isinstance(self.network, DistributedDataParallel):
            # Processes predict different numbers of windows, so none may wait for the buffers of another.
            self.network.require_forward_param_sync = False
        super().perform_actual_validation(save_probabilities)
        # Trainings of earlier versions that were stopped during their validation have none.
        self._write_record(overwrite=False)

    def _write_record(self, *, overwrite: bool) -> None:
        path = Path(self.output_folder) / "run.json"
        if self.local_rank == 0 and (overwrite or not path.exists()):
            write_json(path, run_record(self, command=sys.argv))


def _call_after_loading(network: torch.nn.Module, note: Callable[[], None]) -> None:
    """Call a function whenever weights were loaded into a network."""

    # A function, not a method: copies of the network must not copy the trainer.
    def loaded(*_: Any) -> None:
        note()

    network.register_load_state_dict_post_hook(loaded)
