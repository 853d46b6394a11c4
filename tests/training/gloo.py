"""Program for tests: trains in several processes on the CPU, as nnU-Net does on several GPUs.

Usage: ``python -m tests.training.gloo FOLDER``. nnU-Net is imported once, then processes are forked. Each scenario is
run by three processes together and by one alone, and both leave what they did in ``FOLDER/SCENARIO_RANKS_RANK.pt``.
"""

from __future__ import annotations

import datetime
import multiprocessing
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as stock
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from nnunet_femur.trainers import FemurFinetuneTrainer, FemurScratchTrainer, FemurUnetMobileNetV3Trainer
from tests.training.making import PHANTOMS, TRANSFERRED, Threads, make_trainer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.training.base import FemurTrainer

RANKS = 3
BATCH = 3
"""Patches in a batch of volumes, one for each process."""


class _Processor:
    """Trains on the processor also where nnU-Net would take a GPU for each process."""

    def initialize(self) -> None:
        self.device = torch.device("cpu")
        self.grad_scaler = None
        self.logger.plot_progress_png = lambda *_: None
        self.steps: list[dict[str, Any]] = []
        super().initialize()

    def train_step(self, batch: dict) -> dict:
        result = super().train_step(batch)
        self.steps.append({"epoch": self.current_epoch, "keys": list(batch.get("keys", ())), **result})
        return result


class Slices(_Processor, FemurUnetMobileNetV3Trainer):
    """Its batch normalisation does not learn: it would be synchronised on GPUs, which PyTorch can only do there."""

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        for module in self.network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


class Finetune(_Processor, FemurFinetuneTrainer):
    """Trains on batches that are the same in all processes together as in one alone."""

    def get_dataloaders(self) -> tuple[Any, Any]:
        super().get_dataloaders()
        return self._batches(0), self._batches(1)

    def _batches(self, seed: int) -> Iterator[dict]:
        rng = np.random.default_rng(seed)
        size = self.configuration_manager.patch_size
        while True:
            data = torch.from_numpy(rng.normal(size=(BATCH, 1, *size)).astype(np.float32))
            targets = []
            for scale in self._get_deep_supervision_scales():
                shape = [round(n * s) for n, s in zip(size, scale, strict=True)]
                targets.append(torch.from_numpy(rng.integers(0, 2, (BATCH, 1, *shape)).astype(np.int16)))
            part = slice(self.local_rank, None, self.ranks)
            yield {"data": data[part], "target": [target[part] for target in targets]}


class Volumes(_Processor, FemurScratchTrainer):
    """Trains on nnU-Net's own batches."""


# Without Adam, which makes large steps of differences in the last digit, and with small ones.
SHORT = {"epochs": 3, "optimizer": "SGD", "learning_rate": 1e-4, "seed": 3}
SLICE = {**SHORT, "epochs": 2, "batch_size": 16, "slice_size": [32, 32]}
SCENARIOS: dict[str, tuple[type, str, dict[str, Any]]] = {
    "pass": (Slices, PHANTOMS, {**SLICE, "iterations_per_epoch": None, "planes": ["axial"], "augment": True}),
    "mixed": (
        Slices,
        PHANTOMS,
        {**SLICE, "iterations_per_epoch": 3, "foreground_fraction": 0.5, "loss": "cross_entropy", "keep": "last"},
    ),
    "finetune": (
        Finetune,
        TRANSFERRED,
        {
            **SHORT,
            "iterations_per_epoch": 2,
            "warmup_epochs": 1,
            "ramp_iterations": 3,
            "average_decay": 0.5,
            "loss": "cross_entropy",
        },
    ),
    "volumes": (Volumes, PHANTOMS, {"epochs": 1, "iterations_per_epoch": 2, "seed": 3, "augment": False}),
}


def main(folder: Path) -> None:
    """Run every scenario in one process, then in several."""
    jobs = [_start(folder, 0, 1)]
    jobs += [_start(folder, rank, RANKS) for rank in range(RANKS)]
    for job in jobs:
        job.join()
    sys.exit(max(abs(job.exitcode or 0) for job in jobs))


def _start(folder: Path, rank: int, ranks: int) -> multiprocessing.process.BaseProcess:
    job = multiprocessing.get_context("fork").Process(target=_work, args=(folder, rank, ranks), daemon=True)
    job.start()
    return job


def _work(folder: Path, rank: int, ranks: int) -> None:
    torch.set_num_threads(1)
    multiprocessing.get_context = lambda *_: Threads
    if ranks > 1:
        distributed.init_process_group(
            "gloo",
            init_method=f"file://{folder / 'meeting'}",
            rank=rank,
            world_size=ranks,
            timeout=datetime.timedelta(seconds=120),
        )
        # What nnU-Net does for GPUs has no counterpart on processors.
        stock.DDP = lambda network, **_: DistributedDataParallel(network)
        torch.nn.SyncBatchNorm.convert_sync_batchnorm = staticmethod(lambda network: network)
    try:
        for name in SCENARIOS:
            os.environ["nnUNet_results"] = str(folder / f"results_{name}_{ranks}")
            torch.save(_run(name), folder / f"{name}_{ranks}_{rank}.pt")
    except BaseException:  # noqa: BLE001 - the process ends with it
        traceback.print_exc()
        # The other processes would wait until their time limit.
        os._exit(1)
    os._exit(0)


def _run(name: str) -> dict[str, Any]:
    trainer_class, dataset, recipe = SCENARIOS[name]
    trainer: FemurTrainer = make_trainer(trainer_class, dataset=dataset, batch_size_of_plans=BATCH, **recipe)
    trainer.run_training()
    first_batch = None
    if name == "volumes":
        trainer._seed_generators(0)
        first_batch = next(trainer.dataloader_train)["data"]
    trainer.perform_actual_validation()
    return {
        "steps": trainer.steps,
        "iterations": trainer.num_iterations_per_epoch,
        "logged": trainer.logger.get_value("train_losses", step=None),
        "weights": trainer.bare_network.state_dict(),
        "first_batch": first_batch,
        "folder": trainer.output_folder,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
