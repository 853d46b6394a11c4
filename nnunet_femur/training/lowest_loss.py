"""Trainer that ends with the network of its epoch of lowest training loss, also after interruptions."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from nnunet_femur.training.averaging_trainer import AveragingTrainer

LOWEST_LOSS_FILE = "checkpoint_lowest_loss.pth"
"""Checkpoint of the lowest loss while a training runs; at its end it becomes ``checkpoint_final.pth``."""


class LowestLossTrainer(AveragingTrainer):
    """Trainer that ends with the network of its epoch of lowest training loss instead of its last, as in the study.

    If the recipe averages the weights, it is the average at the end of that epoch; the loss is that before averaging.

    ``checkpoint_final.pth``, which nnU-Net's final validation and ``nnUNetv2_predict`` use, is then that network. The
    loss is the one that nnU-Net logs, the mean over the batches of an epoch. Of equal losses, the first is kept.
    """

    _lowest_loss: float = math.inf

    @property
    def keeps_lowest_loss(self) -> bool:
        """True to keep the network of the lowest loss; False to keep the last."""
        return True

    @property
    def _writes_checkpoint(self) -> bool:
        # Without checkpoints, the last network is the final one.
        return self.keeps_lowest_loss and not self.disable_checkpointing

    @property
    def _checkpoint(self) -> Path:
        return Path(self.output_folder) / LOWEST_LOSS_FILE

    def on_train_start(self) -> None:
        """Read the lowest loss before an interruption, or remove the checkpoint of an earlier training."""
        super().on_train_start()
        if not self._writes_checkpoint or self.local_rank != 0:
            return
        if not self.resumed:
            self._checkpoint.unlink(missing_ok=True)
        elif self._checkpoint.is_file():
            self._lowest_loss = _lowest(self._read_checkpoint()["logging"]["train_losses"])
        else:
            # A finished training is continued: its final network is the one of the lowest loss so far.
            self._lowest_loss = _lowest(self.logger.get_value("train_losses", step=None))
            self.save_checkpoint(str(self._checkpoint))

    def on_epoch_end(self) -> None:
        """Keep the network, if its loss is the lowest, before nnU-Net writes the checkpoint that ``--c`` resumes from.

        If the process is killed between the two, the epoch is trained again and finds its network kept already.
        """
        loss = float(self.logger.get_value("train_losses", step=-1))
        if self._writes_checkpoint and loss < self._lowest_loss:
            self._lowest_loss = loss
            self.save_checkpoint(str(self._checkpoint))
        super().on_epoch_end()

    def on_train_end(self) -> None:
        """Write the kept network as the final checkpoint."""
        # The first process writes. The others must read after it has written and before it removes the file.
        self.synchronise()
        kept = self._writes_checkpoint and self._checkpoint.is_file()
        self.finish_average()
        if kept:
            checkpoint = self._read_checkpoint()
            self.bare_network.load_state_dict(checkpoint["network_weights"])
            self.read_checkpoint_changes(checkpoint)
            self.optimizer.load_state_dict(checkpoint["optimizer_state"])
            losses = checkpoint["logging"]["train_losses"]
            self.print_to_log_file(
                f"Kept: the network of epoch {losses.index(min(losses))}, with the lowest training loss "
                f"({min(losses):.4f})."
            )
        self.finish_network()
        super().on_train_end()
        self.synchronise()
        if kept and self.local_rank == 0:
            self._checkpoint.unlink()

    def finish_network(self) -> None:
        """Change the final network before its checkpoint is written; by default, change nothing."""

    def _read_checkpoint(self) -> dict:
        # Our own file in nnU-Net's format, with NumPy scalars that PyTorch refuses to load with weights_only.
        return torch.load(self._checkpoint, map_location=self.device, weights_only=False)


def _lowest(losses: list[float]) -> float:
    return min((float(loss) for loss in losses), default=math.inf)
