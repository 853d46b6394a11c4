"""A run of a study: the tasks that it shows, its failures and its result."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.study import run as run_module
from nnunet_femur.study.engine import Event
from nnunet_femur.study.job_records import Records, Status
from nnunet_femur.study.jobs import jobs_of
from nnunet_femur.study.run import Failure, JobsFailedError, Run, StudyResult, failures, run_study
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Literal

    from nnunet_femur.study.study_file import Study

TRAIN = "train-FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres-fold_0"


class _Told:
    """Progress that is kept in a list."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def begin(self, task: str, total: float | None = None) -> None:
        self.calls.append(("begin", task, total))

    def advance(self, task: str, done: float, *, total: float | None = None, note: str = "") -> None:
        self.calls.append(("advance", task, done, note))

    def end(self, task: str, message: str = "") -> None:
        self.calls.append(("end", task, message))

    def ends(self) -> dict[str, str]:
        return {call[1]: call[2] for call in self.calls if call[0] == "end"}


@pytest.fixture
def progress() -> _Told:
    return _Told()


@pytest.fixture
def started(study: Study, progress: _Told) -> Run:
    return Run(jobs_of(study), Records(study.records), progress)


def _record(
    study: Study,
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


class TestLook:
    def test_shows_a_job_from_its_start_to_its_end(self, study: Study, started: Run, progress: _Told) -> None:
        started.look([Event("started", "phantoms", "Missing output files")])
        _record(study, "phantoms", "running", news="half")
        started.look([])
        _record(study, "phantoms", "done", news="all")
        started.look([Event("finished", "phantoms")])
        of_job = [call for call in progress.calls if call[1] == "phantoms"]
        assert [call[0] for call in of_job] == ["begin", "advance", "advance", "end"]
        assert of_job[2][3] == "half"
        assert of_job[-1][2] == "✓ phantoms  0:01:02  all"
        assert started.done == ["phantoms"]
        assert progress.calls[-1] == ("advance", "study", 1, "")

    def test_gives_the_reason_of_a_failure(self, study: Study, started: Run, progress: _Told) -> None:
        _record(study, "convert", "failed", reason="error: no cases")
        started.look([Event("started", "convert"), Event("failed", "convert")])
        assert "error: no cases" in progress.ends()["convert"]
        assert started.done == []

    def test_gives_the_reason_of_a_job_that_runs_again(self, study: Study, progress: _Told) -> None:
        _record(study, "convert", "done")
        jobs_of(study)["convert"].made.unlink()
        run = Run(jobs_of(study), Records(study.records), progress)
        run.look([Event("started", "convert"), Event("finished", "convert")])
        assert "(again: conversion.json is missing)" in progress.ends()["convert"]

    def test_shows_why_a_cluster_lets_jobs_wait(self, started: Run, progress: _Told) -> None:
        started.look([], "Priority")
        assert progress.calls[-1] == ("advance", "study", 0, "Priority")

    def test_ends_the_tasks_of_a_killed_engine(self, started: Run, progress: _Told) -> None:
        started.look([Event("started", "phantoms")])
        started.close()
        assert progress.ends() == {"phantoms": "", "study": ""}


class TestFailures:
    def test_are_killed_waiting_and_earlier_jobs(self, study: Study, started: Run) -> None:
        _record(study, "phantoms", "done")
        _record(study, "convert", "running")
        _record(study, "compare", "failed", ago_s=100)
        found = {each.job: each.reason for each in failures(started)}
        assert "killed" in found["convert"]
        assert found["plan-nnUNetPlans"] == "waits for convert"
        assert found["compare"] == f"waits for {TRAIN} and 7 more"
        assert "phantoms" not in found

    def test_have_the_reason_of_the_command_and_its_log(self, study: Study, started: Run) -> None:
        _record(study, "phantoms", "failed", reason="ValueError: too small")
        log = str(Records(study.records).log(jobs_of(study)["phantoms"]))
        assert failures(started)[0] == Failure("phantoms", "ValueError: too small", log)

    @pytest.mark.parametrize("status", ["running", None])
    def test_have_the_reason_of_the_cluster(self, study: Study, started: Run, status: str | None) -> None:
        if status:
            _record(study, "phantoms", "running")
        started.look([Event("failed", "phantoms", "SLURM-job '1' failed, SLURM status is: 'TIMEOUT'. Unknown.")])
        first = failures(started)[0]
        assert first.job == "phantoms"
        assert "cluster.resources.phantoms.minutes" in first.reason
        assert first.log

    def test_include_results_made_of_missing_ones(self, study: Study, started: Run) -> None:
        _record(study, "compare", "done")
        assert "compare" in {each.job for each in failures(started)}

    def test_include_jobs_that_never_started(self, started: Run) -> None:
        assert failures(started)[0] == Failure("phantoms", "was not started")


class TestRunStudy:
    @pytest.fixture
    def engine(self, study: Study, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
        """Replace the engine by one that ends one job, or by one that ends all."""

        def run(_: object, run: Run, *, ending: str) -> int:
            for name in run.jobs:
                if ending in ("all", name):
                    run.look([Event("started", name)])
                    _record(study, name, "done")
                    run.look([Event("finished", name)])
            return 0 if ending == "all" else 1

        return lambda ending: monkeypatch.setattr(run_module, "_run", lambda *given: run(*given, ending=ending))

    def test_returns_the_report(self, study: Study, engine: Callable[[str], None]) -> None:
        engine("all")
        result = run_study(str(study.file))
        assert result.report == study.results / "comparison" / "report.html"
        assert (len(result.done), result.up_to_date, result.failed) == (12, 0, ())
        assert str(result.report) in repr(result)
        assert run_study(study).up_to_date == 0, "this engine does everything again"

    def test_failures_have_the_result(self, study: Study, engine: Callable[[str], None]) -> None:
        engine("phantoms")
        with pytest.raises(JobsFailedError) as caught:
            run_study(study)
        assert caught.value.code == "job-failed"
        result = caught.value.result
        assert isinstance(result, StudyResult)
        assert (result.done, len(result.failed)) == (("phantoms",), 11)
        assert result.failed[0].job in str(caught.value)
        assert str(study.file) in str(caught.value)

    def test_a_study_runs_once_at_a_time(self, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
        def run_again(*_: object) -> int:
            with refused("locked", study.folder):
                run_study(study)
            return 1

        monkeypatch.setattr(run_module, "_run", run_again)
        with refused("job-failed"):
            run_study(study)

    def test_scores_are_a_table(self, tmp_path: Path) -> None:
        (tmp_path / "scores.csv").write_text("method,value\na,0.5\n")
        assert StudyResult(tmp_path / "report.html").scores["value"].tolist() == [0.5]
