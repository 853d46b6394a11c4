"""The cases that are not done yet, run with progress and recorded one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nnunet_femur.baseline.jobs import Outcome
from nnunet_femur.baseline.process import run_jobs
from nnunet_femur.errors import FemurError, InputError, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from nnunet_femur.baseline.jobs import Job
    from nnunet_femur.baseline.record import RunRecord
    from nnunet_femur.baseline.settings import Settings
    from nnunet_femur.progress import Track
    from nnunet_femur.weights.models import SourceModel


def run_recorded(
    jobs: Sequence[Job],
    settings: Settings,
    models: Sequence[SourceModel],
    record: RunRecord,
    *,
    track: Track,
) -> None:
    """Run the cases whose masks are not there yet.

    A case that fails is recorded with its problem, and the others go on.

    Args:
        jobs: All cases.
        settings: How TotalSegmentator is run.
        models: The models that it may use.
        record: Where it is noted. The log beside it stays only if a case failed.
        track: Draws the progress.

    Raises:
        InputError: A case has no mask in the end; the others have theirs.
        SetupError: The record or the log cannot be written.
    """
    left = record.start(jobs)
    if not left:
        return
    by_case = {job.case: job for job in left}
    problems = []
    for outcome in track(_outcomes(left, settings, models, record.log), "TotalSegmentator", len(left)):
        try:
            record.add(by_case[outcome.case], outcome)
        except (FemurError, OSError) as error:
            problems.append(str(error))
        if outcome.problem:
            problems.append(outcome.problem)
    if problems:
        failed = sum(not record.has(job) for job in jobs)
        several = failed and len(jobs) > 1
        count = f"{failed} of {len(jobs)} cases have no mask; the others are done.\n" if several else ""
        raise InputError(count + "\n".join(dict.fromkeys(problems)))
    record.log.unlink(missing_ok=True)


def _outcomes(jobs: Sequence[Job], settings: Settings, models: Sequence[SourceModel], log: Path) -> Iterator[Outcome]:
    """Yield what became of each case; a mask is there exactly where an outcome has no problem."""
    free = []
    for job in jobs:
        try:
            # A mask of other settings must not pass for one of these if this run is interrupted.
            job.output.unlink(missing_ok=True)
            free.append(job)
        except OSError as error:
            problem = f"{job.output}: cannot be replaced ({error.strerror}). Check what it is, and its permissions."
            yield Outcome(job.case, problem=problem)
    if not free:
        return
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    except OSError as error:
        msg = f"{log}: cannot be written ({error.strerror}). Check the folder and the space on the disk."
        raise SetupError(msg) from error
    outputs = {job.case: job.output for job in free}
    for outcome in run_jobs(free, settings, models, log=log):
        if outcome.problem is None and not outputs[outcome.case].is_file():
            problem = f"{outputs[outcome.case]}: is missing after TotalSegmentator reported it as written. Run again."
            yield replace(outcome, problem=problem, volume_ml=0.0)
        else:
            yield outcome
