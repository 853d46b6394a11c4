"""Records of jobs, and the jobs whose results are outdated by them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from nnunet_femur.study.job_records import Records, Status
from tests.refusing import names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nnunet_femur.study.commands import Job


def _status(job: Job) -> Status:
    return Status("running", job.command, job.settings, "log", "here", started=time.time() - 5)


class TestStatus:
    def test_reads_as_it_was_written(self, python_job: Callable[..., Job], tmp_path: Path) -> None:
        records, job = Records(tmp_path), python_job("pass")
        assert records.status(job) is None
        status = _status(job).running("Epoch 3").ended(reason=None, peak_memory_mib=7)
        records.write_status(job, status)
        assert records.status(job) == status
        assert (status.state, status.news, status.reason) == ("done", "Epoch 3", "")
        assert status.seconds >= 5

    def test_of_an_earlier_version_has_no_reason(self, python_job: Callable[..., Job], tmp_path: Path) -> None:
        records, job = Records(tmp_path), python_job("pass")
        records.write_status(job, _status(job).ended(reason="x", peak_memory_mib=7))
        file = tmp_path / "jobs" / "train-x.json"
        content = json.loads(file.read_text())
        del content["reason"]
        file.write_text(json.dumps(content))
        assert records.status(job).reason == ""


class TestOutdated:
    def test_done_and_unchanged(self, python_job: Callable[..., Job], tmp_path: Path) -> None:
        records, job = Records(tmp_path), python_job("pass")
        assert records.outdated([job]) == {}, "a job that was never done has no result"
        records.write_done(job, _status(job))
        job.made.touch()
        assert records.outdated([job]) == {}

    def test_a_missing_result(self, python_job: Callable[..., Job], tmp_path: Path) -> None:
        records, job = Records(tmp_path), python_job("pass")
        records.write_done(job, _status(job))
        assert list(records.outdated([job])) == ["train-x"]

    def test_other_settings_are_named(self, python_job: Callable[..., Job], tmp_path: Path) -> None:
        records = Records(tmp_path)
        old = python_job("pass", settings={"recipe": {"epochs": 3, "seed": 1}, "folds": [1]})
        records.write_done(old, _status(old))
        old.made.touch()
        new = python_job("pass", settings={"recipe": {"epochs": 4, "seed": 1}, "folds": [1]})
        reasons = records.outdated([new])
        assert list(reasons) == ["train-x"]
        assert names(reasons["train-x"], "recipe.epochs", 3, 4)
        assert "seed" not in reasons["train-x"]

    def test_of_long_lists_the_differences_are_named(self, python_job: Callable[..., Job], tmp_path: Path) -> None:
        records = Records(tmp_path)
        old = python_job("pass", settings={"of": ["a", "b", "c"], "size": [64, 64]})
        records.write_done(old, _status(old))
        old.made.touch()
        reasons = records.outdated([python_job("pass", settings={"of": ["b", "d", "e"], "size": [64, 96]})])
        assert reasons["train-x"] == "of: d and 1 more added; of: a and 1 more removed; size was [64, 64], is [64, 96]"
