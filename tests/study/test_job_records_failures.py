"""What failed and why."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.study.job_records import Failure, Records, Status, failures
from nnunet_femur.study.jobs import jobs_of

if TYPE_CHECKING:
    from nnunet_femur.study.study_file import Study
    from nnunet_femur.study.job_records import State


def _end(study: Study, name: str, state: State, log: str = "", *, ago_s: float = 0) -> str:
    job, records = jobs_of(study)[name], Records(study.records)
    file = records.log(job)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(log)
    status = Status(state, job.command, job.settings, str(file), "here", time.time() - ago_s)
    records.write_status(job, status)
    if state == "done":
        job.made.parent.mkdir(parents=True, exist_ok=True)
        job.made.touch()
        records.write_done(job, status)
    return str(file)


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("# 2026\n$ x\nworking\nerror: nnUNet_raw is not set.\nbye\n", "error: nnUNet_raw is not set."),
        ("# 2026\n$ x\nTraceback\n  File x\nValueError: too small\n", "ValueError: too small"),
        ("# 2026\n$ x\ntorch.OutOfMemoryError: CUDA out of memory. Tried\n", "the GPU's memory is full"),
        ("ValueError: of before\n# 2027\n$ again\nwords\n\n", "words"),
        ("# 2026\n$ x\n", "no output"),
    ],
)
def test_the_reason_is_in_the_log(study: Study, log: str, reason: str) -> None:
    file = _end(study, "phantoms", "failed", log)
    first = failures(study, jobs_of(study), since=time.time() - 60)[0]
    assert (first.job, first.log) == ("phantoms", file)
    assert first.reason.startswith(reason)


def test_killed_waiting_and_earlier(study: Study) -> None:
    _end(study, "phantoms", "done")
    _end(study, "convert", "running")
    _end(study, "compare", "failed", ago_s=100)
    found = {each.job: each.reason for each in failures(study, jobs_of(study), since=time.time() - 60)}
    assert found["convert"].startswith("was killed")
    assert found["plan-nnUNetPlans"] == "waits for convert"
    assert found["compare"] == "waits for train-FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres-fold_0 and 7 more"
    assert "phantoms" not in found


def test_what_is_done_but_stands_on_what_is_not(study: Study) -> None:
    _end(study, "compare", "done")
    assert "compare" in {each.job for each in failures(study, jobs_of(study), since=0)}


def test_a_job_that_nobody_started(study: Study) -> None:
    assert failures(study, jobs_of(study), since=0)[0] == Failure("phantoms", "was not started")
