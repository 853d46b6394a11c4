"""The moving average of a slice network's weights and of its statistics, in nnU-Net's own training loop."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from nnunet_femur.trainers import FemurUnetMobileNetV3Trainer
from tests.training.making import make_trainer

pytestmark = pytest.mark.integration

DECAY = 0.75
LOSSES = (0.5, 0.9)


class _Recording(FemurUnetMobileNetV3Trainer):
    """Trains for two epochs of two steps, and keeps a weight and a statistic after each step."""

    seen: ClassVar[list[torch.Tensor]] = []

    def watched(self) -> torch.Tensor:
        return torch.stack([_some(self.bare_network.state_dict(), kind) for kind in ("weight", "running_mean")])

    def on_train_start(self) -> None:
        super().on_train_start()
        self.seen[:] = [self.watched()]

    def train_step(self, batch: dict) -> dict:
        super().train_step(batch)
        self.seen.append(self.watched())
        return {"loss": np.float32(LOSSES[self.current_epoch])}


def _some(state: dict[str, torch.Tensor], kind: str) -> torch.Tensor:
    return next(tensor for name, tensor in state.items() if name.endswith(kind)).flatten()[:8].clone()


@pytest.mark.usefixtures("nnunet")
@pytest.mark.parametrize(("keep", "steps"), [("last", 4), ("lowest_loss", 2)])
def test_the_final_network_is_the_average(
    keep: str, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That after the last step, or at the end of the epoch with the lower loss."""
    monkeypatch.setenv("nnUNet_results", str(tmp_path))
    trainer = make_trainer(
        _Recording,
        epochs=2,
        iterations_per_epoch=2,
        validation_iterations=1,
        batch_size=2,
        slice_size=[32, 32],
        average_decay=DECAY,
        keep=keep,
    )
    trainer.run_training()
    first, *later = trainer.seen
    expected = first
    for values in later[:steps]:
        expected = DECAY * expected + (1 - DECAY) * values
    final = torch.load(Path(trainer.output_folder) / "checkpoint_final.pth", weights_only=False)["network_weights"]
    found = torch.stack([_some(final, kind) for kind in ("weight", "running_mean")])
    assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.allclose(found, later[steps - 1], atol=1e-6)
    assert torch.equal(trainer.watched(), found), "the network of the final validation"
