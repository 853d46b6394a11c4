"""The records of jobs, and what they say is due."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nnunet_femur.study.job_records import Records, Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nnunet_femur.study.jobs import Job


def _status(job: Job) -> Status:
    return Status("running", job.command, job.settings, "log", "here", started=time.time() - 5)


class TestRecords:
    def test_a_status_reads_as_it_was_written(self, python_job: Callable[..., Job], tmp_path: Path) -> None:
        records, job = Records(tmp_path), python_job("pass")
        assert records.status(job) is None
        status = _status(job).after("done", news="Epoch 3", peak_memory_mib=7)
        records.write_status(job, status)
        assert records.status(job) == status
        assert 5 <= status.seconds < 30

    def test_done_and_unchanged_is_not_due(self, python_job: Callable[..., Job], tmp_path: Path) -> None:
        records, job = Records(tmp_path), python_job("pass")
        assert records.due([job]) == {}, "never done: the engine sees that itself"
        records.write_done(job, _status(job))
        job.made.touch()
        assert records.due([job]) == {}

    def test_a_result_that_is_gone_is_due(self, python_job: Callable[..., Job], tmp_path: Path) -> None:
        records, job = Records(tmp_path), python_job("pass")
        records.write_done(job, _status(job))
        assert records.due([job]) == {"train-x": "made is gone"}

    def test_other_settings_are_named(self, python_job: Callable[..., Job], tmp_path: Path) -> None:
        records = Records(tmp_path)
        old = python_job("pass", settings={"recipe": {"epochs": 3, "seed": 1}, "folds": [1]})
        records.write_done(old, _status(old))
        old.made.touch()
        new = python_job("pass", settings={"recipe": {"epochs": 4, "seed": 1}, "folds": [1]})
        assert records.due([new]) == {"train-x": "recipe.epochs was 3, is 4"}
