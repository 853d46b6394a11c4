"""Studies in files, jobs of a line of Python, and records of jobs."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Literal

import pytest
import yaml

from nnunet_femur.study.commands import Job
from nnunet_femur.study.job_records import Records, Status
from nnunet_femur.study.jobs import jobs_of
from nnunet_femur.study.study_file import read_study

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nnunet_femur.study.study_file import Study

CONTENT: dict[str, Any] = {
    "folder": "work",
    "dataset": {"phantoms": 8},
    "plans": {"nnUNetPlans": {"preset": "small"}},
    "folds": [0, 1],
    "methods": ["FemurUnetResNet34Trainer", {"trainer": "FemurScratchTrainer", "recipe": {"epochs": 3}}],
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a study's file; arguments replace parts of :data:`CONTENT`, None leaves them out."""

    def write(**changes: Any) -> Path:
        file = tmp_path / "study.yaml"
        content = {key: value for key, value in {**CONTENT, **changes}.items() if value is not None}
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return file

    return write


@pytest.fixture
def study(write: Callable[..., Path]) -> Study:
    return read_study(write())


@pytest.fixture
def record(study: Study) -> Callable[..., None]:
    """Write the status of a job of the study, and its result if it is done."""

    def write(
        name: str,
        state: Literal["running", "done", "failed"],
        *,
        reason: str = "",
        ago_s: float = 0,
        news: str = "",
    ) -> None:
        job, records = jobs_of(study)[name], Records(study.records)
        log = str(records.log(job))
        at = time.time() - ago_s
        status = Status(state, job.command, job.settings, log, "here", at, reason=reason, news=news, seconds=62.0)
        records.write_status(job, status)
        if state == "done":
            job.made.parent.mkdir(parents=True, exist_ok=True)
            job.made.touch()
            records.write_done(job, status)

    return write


@pytest.fixture
def python_job(tmp_path: Path) -> Callable[..., Job]:
    """A job whose command is Python code."""

    def make(code: str, **changes: Any) -> Job:
        made = tmp_path / "made"
        given = {"stage": "train", "label": "x", "made": made, "settings": {"epochs": 3}, **changes}
        return Job(command=(sys.executable, "-c", code), **given)

    return make
