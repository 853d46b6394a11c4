"""Estimates of time and disk space, replaced by measurements of jobs that have run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.study import print_plan, read_study
from nnunet_femur.study.forecast import Size, bytes_of, seconds_of, size_of
from nnunet_femur.study.job_records import Records, Status
from nnunet_femur.study.jobs import jobs_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STUDY_SIZE = Size(32, 8, 300 * 336 * 256)


def _training_minutes(write: Callable[..., Path], method: str | dict, device: str) -> float:
    study = read_study(write(plans=None, methods=[method], folds=[5], dataset={"id": 1}))
    job = next(job for job in jobs_of(study).values() if job.stage == "train")
    return seconds_of(job, study, STUDY_SIZE, device) / 60


class TestTraining:
    @pytest.mark.parametrize(
        ("trainer", "minutes"), [("UnetResNet34", 14), ("UnetPlusPlusResNet50", 61), ("UnetMobileNetV3", 11)]
    )
    def test_on_a_gpu_is_the_studys(self, write: Callable[..., Path], trainer: str, minutes: float) -> None:
        assert _training_minutes(write, f"Femur{trainer}Trainer", "cuda") == pytest.approx(minutes, rel=0.5)

    def test_of_the_studys_fine_tuning_is_the_studys(self, write: Callable[..., Path]) -> None:
        assert _training_minutes(write, "FemurFinetunePaperTrainer", "cuda") == pytest.approx(200, rel=0.05)

    def test_of_femur_ends_is_short(self, write: Callable[..., Path]) -> None:
        assert _training_minutes(write, "FemurHeadUnetResNet34Trainer", "cuda") == pytest.approx(1, abs=1)

    def test_grows_with_the_recipe(self, write: Callable[..., Path]) -> None:
        long = {"trainer": "FemurScratchTrainer", "recipe": {"epochs": 100}}
        longer = {"trainer": "FemurScratchTrainer", "recipe": {"epochs": 200}}
        minutes = [_training_minutes(write, each, "cpu") for each in (long, longer)]
        assert minutes[1] == pytest.approx(2 * minutes[0], rel=0.01)

    def test_takes_longer_on_processors(self, write: Callable[..., Path]) -> None:
        hours = [_training_minutes(write, "FemurUnetResNet34Trainer", device) / 60 for device in ("cuda", "cpu")]
        assert hours[1] > 10 * hours[0]


def test_size_is_that_of_the_dataset(write: Callable[..., Path]) -> None:
    study = read_study(write())
    assert size_of(study) == Size(7, 1, 96 * 64 * 64), "of phantoms to be made"
    assert size_of(read_study(write(dataset={"id": 1}))) == STUDY_SIZE, "of a dataset that does not exist yet"
    study.raw.mkdir(parents=True)
    (study.raw / "cases.csv").write_text("case,set,size\nA,train,10 20 30\nB,test,10 20 50\n")
    assert size_of(study) == Size(1, 1, 8000)


def test_disk_is_mostly_preprocessed_data(write: Callable[..., Path]) -> None:
    study = read_study(write(plans={"nnUNetPlans": {"configuration": ["3d_fullres"]}}))
    jobs = jobs_of(study)
    # 32 volumes of 26 million voxels, four bytes each.
    assert bytes_of(jobs["plan-nnUNetPlans"], study, STUDY_SIZE) == pytest.approx(32 * 25.8e6 * 4, rel=0.01)


class TestForecast:
    def test_prints_the_jobs_that_would_run_and_runs_none(
        self, write: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "200")
        study = read_study(write(device="cpu"))
        print_plan(study)
        out = capsys.readouterr().out
        assert "12 of 12 jobs" in out
        assert not (study.folder / "drop").exists()

    def test_uses_times_of_jobs_that_have_run(
        self, write: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "200")
        study = read_study(write(device="cpu"))
        job = jobs_of(study)["train-FemurScratchTrainer__nnUNetPlans__3d_fullres-fold_0"]
        ran = Status("done", job.command, job.settings, "log", "here", time.time(), seconds=7200.0)
        Records(study.records).write_status(job, ran)
        print_plan(study)
        lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
        assert lines[job.name.replace("fold_0", "fold_1")].endswith("2.0 h")
