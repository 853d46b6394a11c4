"""Jobs that are due: all at first, then those of changed settings and those that follow."""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from nnunet_femur.study.engine import Engine, Event, Events, engine_of
from nnunet_femur.study.engine_logger import LogHandler
from nnunet_femur.study.job_records import Records, Status
from nnunet_femur.study.jobs import jobs_of
from nnunet_femur.study.study_file import read_study
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nnunet_femur.study.study_file import Study

UNET, SCRATCH = (
    f"{trainer}__nnUNetPlans__3d_fullres" for trainer in ("FemurUnetResNet34Trainer", "FemurScratchTrainer")
)


def _due(study: Study) -> list[str]:
    return list(Engine(study, "cpu", 0, 2, 1).due(jobs_of(study).values()))


def _finish(study: Study) -> None:
    """Write the records of a study whose jobs have run one after the other."""
    records = Records(study.records)
    for age, job in enumerate(reversed(jobs_of(study).values())):
        job.made.parent.mkdir(parents=True, exist_ok=True)
        job.made.touch()
        records.write_done(job, Status("done", job.command, job.settings, "log", "here", 0.0))
        os.utime(records.done(job), (time.time() - 100 - age,) * 2)


class TestDue:
    def test_all_jobs_at_first_and_then_none(self, study: Study) -> None:
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

    def test_answers_for_a_publication_compare_again(self, write: Callable[..., Path]) -> None:
        study = read_study(write(compare={"supplement": True}))
        answers = jobs_of(study)["compare"].made.parent / "supplement" / "answers.yaml"
        answers.parent.mkdir(parents=True)
        answers.write_text("phantoms: true\n", encoding="utf-8")
        os.utime(answers, (time.time() - 500,) * 2)
        _finish(study)
        assert _due(study) == [], "the comparison itself wrote the file"
        answers.write_text("1: found\n", encoding="utf-8")
        assert _due(study) == ["compare"]


class TestMachine:
    def test_two_cores(self, study: Study) -> None:
        engine = engine_of(study, cores=2)
        assert (engine.device, engine.cores, engine.threads) == ("cpu", 2, 2)

    def test_no_more_threads_than_cores(self, write: Callable[..., Path]) -> None:
        study = read_study(write(device="cpu", threads=9))
        assert engine_of(study, cores=3).threads == 3

    def test_a_cluster_with_a_gpu_uses_it(self, write: Callable[..., Path]) -> None:
        study = read_study(write(cluster={"gpu-partition": "gpu"}))
        engine = engine_of(study, profile="slurm")
        assert (engine.device, engine.gpus) == ("cuda", 0), "the cluster deals them out"
        assert engine_of(read_study(write(cluster={})), profile="slurm").device == "cpu"

    def test_an_unknown_profile(self, study: Study) -> None:
        with refused("not-found", "nowhere", "slurm"):
            Engine(study, "cpu", 0, 2, 1, "nowhere").due([])


class TestEvents:
    def test_are_read_while_they_are_written(self, study: Study, tmp_path: Path) -> None:
        jobs, file = jobs_of(study), tmp_path / "events.jsonl"
        events = Events(file, jobs.values())
        assert events.new() == [], "Snakemake has not started yet"
        rule = jobs["plan-nnUNetPlans"].rule
        file.write_text(
            f'{{"event": "started", "rule": "{rule}", "reason": "Missing output files"}}\n'
            '{"event": "started", "rule": "all", "reason": ""}\n'
            f'{{"event": "finished", "ru'
        )
        assert events.new() == [Event("started", "plan-nnUNetPlans", "Missing output files")]
        assert events.new() == []
        with file.open("a") as more:
            more.write(f'le": "{rule}"}}\n{{"event": "failed", "rule": "{rule}", "message": "killed"}}\n')
        assert events.new() == [Event("finished", "plan-nnUNetPlans"), Event("failed", "plan-nnUNetPlans", "killed")]


class TestLogHandler:
    def test_goes_on_after_a_record_of_another_form(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(LogHandler, "path", tmp_path / "events.jsonl", raising=False)
        monkeypatch.setattr("logging.raiseExceptions", False)
        handler = LogHandler(None, None)
        for extra in ({"event": LogEvent.JOB_INFO}, {"event": LogEvent.JOB_ERROR, "rule_name": "a", "rule_msg": None}):
            handler.emit(logging.makeLogRecord(extra))
        handler.close()
        lines = (tmp_path / "events.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == [{"event": "failed", "rule": "a", "message": ""}]


class TestRun:
    """Snakemake for real, with jobs that fail or end at once."""

    @pytest.fixture
    def scripts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A folder of commands that replace those of this environment in the processes of jobs."""
        folder = tmp_path / "scripts"
        folder.mkdir()
        code = (
            "import sysconfig\n_get = sysconfig.get_path\n"
            f"sysconfig.get_path = lambda name, *a: {str(folder)!r} if name == 'scripts' else _get(name, *a)\n"
        )
        (folder / "sitecustomize.py").write_text(code)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        return folder

    def test_reports_the_jobs_that_end_and_fail(self, study: Study, scripts: Path) -> None:
        command = scripts / "nnfemur"
        command.write_text('#!/bin/sh\n[ "$1" = phantoms ] || { echo "error: no cases" >&2; exit 3; }\nmkdir -p "$2"\n')
        command.chmod(0o755)
        jobs, records = jobs_of(study), Records(study.records)
        with Engine(study, "cpu", 0, 2, 1).started(jobs.values(), os.environ) as process:
            output = "".join(process.stdout or ())
        assert process.returncode == 1, output
        found = Events(records.events, jobs.values()).new()
        assert [(event.kind, event.job) for event in found] == [
            ("started", "phantoms"),
            ("finished", "phantoms"),
            ("started", "convert"),
            ("failed", "convert"),
        ]
        assert records.status(jobs["convert"]).reason == "error: no cases"
        assert records.status(jobs["phantoms"]).state == "done"

    def test_a_study_that_snakemake_cannot_plan(self, study: Study) -> None:
        engine = Engine(study, "cpu", 0, 2, 1)
        study.file.write_text("dataset: {}\n")
        with refused("job-failed", study.file):
            engine.due(jobs_of(study).values())
