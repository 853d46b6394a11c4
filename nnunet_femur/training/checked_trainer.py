"""nnU-Net's trainer with checked data, plans and folds, safe checkpoints, and a record of the training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch.nn.parallel import DistributedDataParallel

from nnunet_femur.atomic_files import written_beside
from nnunet_femur.consistency import check_data, check_plans, check_same, fingerprint, resolve
from nnunet_femur.dataset.folds import SPLITS_FILE, choose_fold
from nnunet_femur.errors import ending_without_traceback
from nnunet_femur.training.experiment_logs import log_record
from nnunet_femur.training.run_record import write_run_record

if TYPE_CHECKING:
    from nnunet_femur.recipe.hyperparameters import Recipe


class CheckedTrainer(nnUNetTrainer):
    """nnUNetTrainer that checks its inputs, writes checkpoints safely, and records the training in ``run.json``.

    It does not change how a network is trained.

    Attributes:
        ends_only: True for a trainer on the ends of the femur, which does not predict whole femurs.
        recipe: Hyperparameters of the training; set by subclasses.
        resumed: True after a checkpoint was loaded to resume from.
    """

    ends_only: ClassVar[bool] = False
    network: Any
    recipe: Recipe
    resumed: bool = False
    _epochs_here: int = 0

    def do_split(self) -> tuple[list[str], list[str]]:
        """Return the cases to train and to validate on, from the checked folds of the dataset.

        Raises:
            InputError: The folds are missing or damaged, do not fit the cases, or lack this fold.
        """
        if self.fold == "all":
            return super().do_split()
        cases = self.dataset_class.get_identifiers(self.preprocessed_dataset_folder)
        with ending_without_traceback():
            fold = choose_fold(Path(self.preprocessed_dataset_folder_base) / SPLITS_FILE, cases, self.fold)
        return list(fold.train), list(fold.val)

    def on_train_start(self) -> None:
        """Check that data and plans were made for each other, then start as nnU-Net does."""
        self.check_consistency()
        super().on_train_start()

    def check_consistency(self) -> None:
        """Refuse plans that were changed, and data that were preprocessed under other plans.

        Raises:
            SetupError: With a table of the differences (code "inconsistent").
        """
        plans, configuration = self.plans_manager.plans, self.configuration_manager.configuration
        with ending_without_traceback():
            check_plans(plans, configuration, where=f"{self.plans_manager.plans_name}.json")
            check_data(Path(self.preprocessed_dataset_folder), plans, configuration)

    def load_checkpoint(self, filename_or_checkpoint: dict | str) -> None:
        """Resume from a checkpoint of the same plans; pretrained weights do not replace its weights.

        Raises:
            SetupError: The checkpoint was trained under other plans (code "inconsistent").
        """
        filename_or_checkpoint = self.newest_checkpoint(filename_or_checkpoint)
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

    def newest_checkpoint(self, checkpoint: dict | str) -> dict | str:
        """Return the latest checkpoint in place of an older final one, if the training is resumed by ``--c``.

        nnU-Net prefers the final checkpoint. If it is that of a training with fewer epochs, which was continued and
        killed, all epochs since would be trained again.

        Args:
            checkpoint: The checkpoint that nnU-Net has chosen: a path, or the content.
        """
        if isinstance(checkpoint, dict) or not self.logger.resume or Path(checkpoint).name != "checkpoint_final.pth":
            return checkpoint
        # A training removes its latest checkpoint only after it has written the final one.
        latest = Path(checkpoint).with_name("checkpoint_latest.pth")
        newer = latest.is_file() and latest.stat().st_mtime_ns > Path(checkpoint).stat().st_mtime_ns
        return str(latest) if newer else checkpoint

    def save_checkpoint(self, filename: str) -> None:
        """Write the checkpoint whole or not at all; training cannot resume from a half-written one."""
        if self.local_rank != 0 or self.disable_checkpointing:
            super().save_checkpoint(filename)
            return
        with written_beside(Path(filename)) as partial:
            super().save_checkpoint(str(partial))
            changes = self.checkpoint_changes()
            if changes:
                torch.save({**torch.load(partial, map_location="cpu", weights_only=False), **changes}, partial)

    def checkpoint_changes(self) -> dict[str, Any]:
        """Return entries of a checkpoint that are added to, or replace, nnU-Net's; by default, none."""
        return {}

    def on_epoch_end(self) -> None:
        """Count the epochs of this process."""
        super().on_epoch_end()
        self._epochs_here += 1

    def on_train_end(self) -> None:
        """Finish as nnU-Net does, then write ``run.json``.

        A process that trained no epoch, for example one that only repeats the validation, keeps an existing record.
        """
        super().on_train_end()
        record = write_run_record(self, overwrite=self.trained_here, further=self.run_facts())
        if record is not None:
            log_record(self, record)

    @property
    def trained_here(self) -> bool:
        """True if this process trained an epoch, so that an existing ``run.json`` is not that of its training."""
        return self._epochs_here > 0

    def run_facts(self) -> dict[str, Any]:
        """Return entries of ``run.json`` that only this kind of trainer has; by default, none."""
        return {}

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:  # noqa: FBT001, FBT002
        """Validate as nnU-Net does, after a check that data and plans were made for each other."""
        self.check_consistency()
        if isinstance(self.network, DistributedDataParallel):
            # Processes predict different numbers of windows, so none may wait for the buffers of another.
            self.network.require_forward_param_sync = False
        super().perform_actual_validation(save_probabilities)
        # Trainings of earlier versions that were stopped during their validation have no record.
        write_run_record(self, overwrite=False, further=self.run_facts())

    def synchronise(self) -> None:
        """Wait until all processes that train together have arrived here."""
        if self.is_ddp:
            torch.distributed.barrier()

    def gathered(self, part: dict[str, Any]) -> dict[str, Any]:
        """Return the entries of all processes' dicts, of which each process passes its part."""
        if not self.is_ddp:
            return part
        parts: list[dict[str, Any]] = [{} for _ in range(self.ranks)]
        torch.distributed.all_gather_object(parts, part)
        return {key: value for each in parts for key, value in each.items()}

    @property
    def ranks(self) -> int:
        """Number of processes that train together, one for each GPU."""
        return int(torch.distributed.get_world_size()) if self.is_ddp else 1

    @property
    def bare_network(self) -> torch.nn.Module:
        """The network without nnU-Net's wrappers for several GPUs and for compilation."""
        network = self.network.module if isinstance(self.network, DistributedDataParallel) else self.network
        return getattr(network, "_orig_mod", network)

    @property
    def works_in_slices(self) -> bool:
        """True if the network works slice by slice, recorded since the study's protocol scores such methods apart."""
        return len(self.configuration_manager.patch_size) == 2
