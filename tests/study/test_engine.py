"""What Snakemake finds due: everything once, then only what changed and what follows from it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.errors import SetupError
from nnunet_femur.study.study_file import read_study
from nnunet_femur.study.engine import Engine
from nnunet_femur.study.job_records import Records, Status
from nnunet_femur.study.jobs import jobs_of
from nnunet_femur.study.run import Machine, engine_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nnunet_femur.study.study_file import Study

UNET, SCRATCH = (
    f"{trainer}__nnUNetPlans__3d_fullres" for trainer in ("FemurUnetResNet34Trainer", "FemurScratchTrainer")
)


def _due(study: Study) -> list[str]:
    return Engine(study, "cpu", 0, 2, 1).due(jobs_of(study).values())


def _finish(study: Study) -> None:
    """Pretend that all jobs have run, one after the other."""
    records = Records(study.records)
    for age, job in enumerate(reversed(jobs_of(study).values())):
        job.made.parent.mkdir(parents=True, exist_ok=True)
        job.made.touch()
        records.write_done(job, Status("done", job.command, job.settings, "log", "here", 0.0))
        os.utime(records.done(job), (time.time() - 100 - age,) * 2)


class TestDue:
    def test_everything_at_first_and_then_nothing(self, study: Study) -> None:
        names = list(jobs_of(study))
        due = _due(study)
        assert sorted(due) == sorted(names)
        assert due.index("convert") < due.index("plan-nnUNetPlans") < due.index(f"train-{UNET}-fold_0")
        assert due[-1] == "compare"
        _finish(study)
        assert _due(study) == []

    def test_a_recipe_trains_its_method_again(self, write: Callable[..., Path]) -> None:
        _finish(read_study(write()))
        other = {"trainer": "FemurScratchTrainer", "recipe": {"epochs": 4}}
        due = _due(read_study(write(methods=["FemurUnetResNet34Trainer", other])))
        folds = [f"{stage}-{SCRATCH}-fold_{fold}" for stage in ("train", "predict") for fold in (0, 1)]
        assert sorted(due) == sorted(["plan-nnUNetPlans", *folds, "compare"])

    def test_a_further_fold_is_all_that_is_trained(self, write: Callable[..., Path]) -> None:
        _finish(read_study(write()))
        due = _due(read_study(write(folds=[0, 1, 2])))
        new = [f"{stage}-{method}-fold_2" for stage in ("train", "predict") for method in (UNET, SCRATCH)]
        assert sorted(due) == sorted([*new, "compare"])

    def test_a_deleted_model_is_trained_and_predicted_again(self, study: Study) -> None:
        _finish(study)
        jobs_of(study)[f"train-{UNET}-fold_0"].made.unlink()
        assert sorted(_due(study)) == sorted([f"train-{UNET}-fold_0", f"predict-{UNET}-fold_0", "compare"])


class TestMachine:
    def test_two_cores(self, study: Study) -> None:
        engine = engine_of(study, Machine(cores=2))
        assert (engine.device, engine.cores, engine.threads) == ("cpu", 2, 2)

    def test_no_more_threads_than_cores(self, write: Callable[..., Path]) -> None:
        study = read_study(write(device="cpu", threads=9))
        assert engine_of(study, Machine(cores=3)).threads == 3

    def test_a_cluster_with_a_gpu_uses_it(self, write: Callable[..., Path]) -> None:
        study = read_study(write(cluster={"gpu-partition": "gpu"}))
        engine = engine_of(study, Machine(profile="slurm"))
        assert (engine.device, engine.gpus) == ("cuda", 0), "the cluster deals them out"
        assert engine_of(read_study(write(cluster={})), Machine(profile="slurm")).device == "cpu"

    def test_a_profile_that_is_none(self, study: Study) -> None:
        with pytest.raises(SetupError, match="no profile nowhere: give slurm, or a folder"):
            Engine(study, "cpu", 0, 2, 1, "nowhere").due([])
