"""Run of a study: start the engine, watch the jobs, and return the result."""

from __future__ import annotations

import os
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING

from nnunet_femur.dataset.environment import COLUMNS
from nnunet_femur.dataset.folds import SPLITS_FILE
from nnunet_femur.errors import FemurError, InputError
from nnunet_femur.progress import SILENT
from nnunet_femur.records import locked, read_json
from nnunet_femur.study.engine import Events, engine_of
from nnunet_femur.study.job_records import Records
from nnunet_femur.study.jobs import COMPARE, jobs_of
from nnunet_femur.study.study_file import Study, read_study
from nnunet_femur.study.watch import Failure, Watch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pandas as pd

    from nnunet_femur.progress import Progress
    from nnunet_femur.study.engine import Engine


_POLL_INTERVAL_S = 0.3


@dataclass(frozen=True, repr=False)
class StudyResult:
    """Result of a run of a study.

    Attributes:
        report: The HTML report of the comparison.
        done: Names of the jobs that this run has done, in the order in which they ended.
        failed: Jobs that are not done, those first that failed by themselves.
        up_to_date: Number of jobs that were done before.

    Example:
        >>> from pathlib import Path
        >>> StudyResult(Path("nnUNet_results/comparison/report.html"), done=("convert", "plan"), up_to_date=4)
        <StudyResult nnUNet_results/comparison/report.html: 2 done, 4 up to date, 0 failed>
    """

    report: Path
    done: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()
    up_to_date: int = 0

    def __repr__(self) -> str:
        """Return the report's path and the numbers of jobs."""
        counts = f"{len(self.done)} done, {self.up_to_date} up to date, {len(self.failed)} failed"
        return f"<StudyResult {self.report}: {counts}>"

    @property
    def scores(self) -> pd.DataFrame:
        """All scores of the comparison, a row each, as in ``scores.csv``."""
        import pandas as pd

        return pd.read_csv(self.report.with_name("scores.csv"))


class JobsFailedError(FemurError):
    """Jobs of a study failed; all jobs that do not depend on them have run.

    Attributes:
        result: The result of the run, with the jobs that failed.
    """

    code = "job-failed"
    result: StudyResult


def run_study(
    study: Study | str | Path,
    *,
    cores: int | None = None,
    profile: str | None = None,
    progress: Progress = SILENT,
) -> StudyResult:
    """Run all jobs of a study that are not up to date: convert, plan, train, predict, baseline, compare.

    The run may be interrupted or killed at any time; the same call continues. Each job is one of the public commands,
    run in its own process.

    Args:
        study: The study, or its file.
        cores: CPUs to use; None: all that this process may use.
        profile: "slurm", or a folder with a Snakemake profile, to run on a cluster; None for this machine.
        progress: Receives a task for the study, and one for each job that runs.

    Returns:
        The jobs that were done, and the report's path.

    Raises:
        InputError: The file has problems (code "invalid-study"), or a method is to train a fold that the dataset does
            not have (code "invalid-folds").
        SetupError: The study is running already (code "locked"), or something that it needs is missing.
        JobsFailedError: Jobs failed; the message lists each with its reason and its log (code "job-failed").

    Example:
        A finished study runs nothing again:

        >>> result = run_study("demo/study.yaml")
        >>> result
        <StudyResult .../demo/nnUNet_results/comparison/report.html: 0 done, 6 up to date, 0 failed>
        >>> sorted(result.scores["set"].unique())
        ['cv', 'test']
    """
    if not isinstance(study, Study):
        study = read_study(study)
    engine = engine_of(study, cores=cores, profile=profile)
    jobs, records = jobs_of(study, device=engine.device), Records(study.records)
    study.records.mkdir(parents=True, exist_ok=True)
    busy = f"{study.folder}: the study is running already, in another terminal or on another machine."
    with locked(study.records / "lock", busy=busy):
        _check_weights(study)
        _check_folds(study)
        watch = Watch(jobs, records, progress)
        status = _run(engine, watch)
        failed = tuple(watch.failures())
    result = StudyResult(jobs[COMPARE].made, tuple(watch.done), failed, len(jobs) - len(failed) - len(watch.done))
    if failed or status:
        lines = [f"\n  {each.job}: {each.reason}" + (f" ({each.log})" if each.log else "") for each in failed]
        count = f"{len(failed)} of {len(jobs)} jobs are not done" if failed else "Snakemake failed"
        msg = (
            f"{study.file}: {count}. Run the study again to continue; {records.engine_log} has details.{''.join(lines)}"
        )
        error = JobsFailedError(msg)
        error.result = result
        raise error
    return result


def print_scores(study: Study) -> None:
    """Print the tables that the comparison has printed."""
    text = Records(study.records).log(jobs_of(study)[COMPARE]).read_text(encoding="utf-8")
    last = text.rsplit("\n$ ", 1)[-1].splitlines()[1:-1]
    sys.stdout.write("\n".join(line for line in last if not line.startswith("Scoring")) + "\n")


def _run(engine: Engine, watch: Watch) -> int:
    """Run the engine, show progress until it ends, and return its exit status; its output goes to a log."""
    jobs, records = watch.jobs.values(), watch.records
    environment = dict(os.environ)
    if sys.stdout.isatty():
        # Another process writes the tables of the comparison, which are shown in this terminal.
        environment[COLUMNS] = str(shutil.get_terminal_size().columns)
    watch.start()
    try:
        with engine.started(jobs, environment) as process:
            pump = Thread(target=_write, args=(process.stdout or (), records.engine_log), daemon=True)
            pump.start()
            events, waiting = Events(records.events, jobs), engine.waiting()
            while process.poll() is None:
                watch.look(events.new(), waiting.look() if waiting else "")
                time.sleep(_POLL_INTERVAL_S)
            pump.join()
            watch.look(events.new())
    finally:
        watch.close()
    return process.returncode


def _write(lines: Iterable[str], log: Path) -> None:
    # An interrupted study closes the pipe that this reads.
    with log.open("w", encoding="utf-8") as file, suppress(ValueError):
        for line in lines:
            file.write(line)
            file.flush()


def _check_weights(study: Study) -> None:
    """Refuse a study that would stop hours later without TotalSegmentator's weights.

    Raises:
        SetupError: TotalSegmentator's weights are needed and missing.
    """
    fast = {options.get("fast", False) for options in study.plans.values() if options.get("from") == "totalsegmentator"}
    fast |= {model == "3mm" for model in study.baseline}
    if fast:
        from nnunet_femur.weights import find_model

        for each in sorted(fast):
            find_model(fast=each)


def _check_folds(study: Study) -> None:
    """Refuse folds that an existing dataset does not have: nnU-Net's own trainers would train on a random split.

    Raises:
        InputError: A fold does not exist (code "invalid-folds").
    """
    file = study.raw / SPLITS_FILE
    splits = read_json(file)
    if not isinstance(splits, list):
        # The dataset is still to be converted, or its folds are damaged, which planning reports.
        return
    for method in study.methods:
        missing = [fold for fold in method.folds if fold >= len(splits)]
        if missing:
            msg = (
                f"{file}: has the folds 0 to {len(splits) - 1}, but {method.name} is to train fold {missing[0]}. "
                f"Change the folds in {study.file}."
            )
            raise InputError(msg, code="invalid-folds")
