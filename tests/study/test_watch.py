"""The jobs of a run: the tasks that are shown, and the failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nnunet_femur.study.engine import Event
from nnunet_femur.study.job_records import Records
from nnunet_femur.study.jobs import jobs_of
from nnunet_femur.study.watch import Failure, Watch
from tests.refusing import names

if TYPE_CHECKING:
    from collections.abc import Callable

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
def started(study: Study, progress: _Told) -> Watch:
    return Watch(jobs_of(study), Records(study.records), progress)


class TestLook:
    def test_shows_a_job_from_its_start_to_its_end(
        self, record: Callable[..., None], started: Watch, progress: _Told
    ) -> None:
        started.look([Event("started", "phantoms", "Missing output files")])
        record("phantoms", "running", news="half")
        started.look([])
        record("phantoms", "done", news="all")
        started.look([Event("finished", "phantoms")])
        of_job = [call for call in progress.calls if call[1] == "phantoms"]
        assert [call[0] for call in of_job] == ["begin", "advance", "advance", "end"]
        assert of_job[2][3] == "half"
        assert of_job[-1][2] == "✓ phantoms  0:01:02  all"
        assert started.done == ["phantoms"]
        assert progress.calls[-1] == ("advance", "study", 1, "")

    def test_gives_the_reason_of_a_failure(self, record: Callable[..., None], started: Watch, progress: _Told) -> None:
        record("convert", "failed", reason="error: no cases")
        started.look([Event("started", "convert"), Event("failed", "convert")])
        assert "error: no cases" in progress.ends()["convert"]
        assert started.done == []

    def test_gives_the_reason_of_a_job_that_runs_again(
        self, record: Callable[..., None], study: Study, progress: _Told
    ) -> None:
        record("convert", "done")
        jobs_of(study)["convert"].made.unlink()
        watch = Watch(jobs_of(study), Records(study.records), progress)
        watch.look([Event("started", "convert"), Event("finished", "convert")])
        assert names(progress.ends()["convert"], "again", "conversion.json")

    def test_shows_why_a_cluster_lets_jobs_wait(self, started: Watch, progress: _Told) -> None:
        started.look([], "Priority")
        assert progress.calls[-1] == ("advance", "study", 0, "Priority")

    def test_ends_the_tasks_of_a_killed_engine(self, started: Watch, progress: _Told) -> None:
        started.look([Event("started", "phantoms")])
        started.close()
        assert progress.ends() == {"phantoms": "", "study": ""}


class TestFailures:
    def test_are_killed_waiting_and_earlier_jobs(
        self, record: Callable[..., None], study: Study, started: Watch
    ) -> None:
        record("phantoms", "done")
        record("convert", "running")
        record("compare", "failed", ago_s=100)
        found = {each.job: each.reason for each in started.failures()}
        assert "killed" in found["convert"]
        assert names(found["plan-nnUNetPlans"], "convert")
        assert names(found["compare"], TRAIN, "7 more")
        assert "phantoms" not in found

    def test_have_the_reason_of_the_command_and_its_log(
        self, record: Callable[..., None], study: Study, started: Watch
    ) -> None:
        record("phantoms", "failed", reason="ValueError: too small")
        log = str(Records(study.records).log(jobs_of(study)["phantoms"]))
        assert started.failures()[0] == Failure("phantoms", "ValueError: too small", log)

    @pytest.mark.parametrize("status", ["running", None])
    def test_have_the_reason_of_the_cluster(
        self, record: Callable[..., None], study: Study, started: Watch, status: str | None
    ) -> None:
        if status:
            record("phantoms", "running")
        started.look([Event("failed", "phantoms", "SLURM-job '1' failed, SLURM status is: 'TIMEOUT'. Unknown.")])
        first = started.failures()[0]
        assert first.job == "phantoms"
        assert "cluster.resources.phantoms.minutes" in first.reason
        assert first.log

    def test_include_results_made_of_missing_ones(
        self, record: Callable[..., None], study: Study, started: Watch
    ) -> None:
        record("compare", "done")
        assert "compare" in {each.job for each in started.failures()}

    def test_include_jobs_that_never_started(self, started: Watch) -> None:
        first = started.failures()[0]
        assert (first.job, first.log) == ("phantoms", "")
        assert first.reason
