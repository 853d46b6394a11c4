"""The cases that are not done yet, run with progress and recorded one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.baseline.process import run_jobs
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nnunet_femur.baseline.jobs import Job
    from nnunet_femur.baseline.record import RunRecord
    from nnunet_femur.baseline.settings import Settings
    from nnunet_femur.progress import Track
    from nnunet_femur.weights.source import SourceModel


def run_recorded(
    jobs: Sequence[Job],
    settings: Settings,
    models: Sequence[SourceModel],
    record: RunRecord,
    *,
    log: Path,
    track: Track,
) -> None:
    """Run the cases whose masks are not there yet.

    Args:
        jobs: All cases.
        settings: How TotalSegmentator is run.
        models: The models that it may use.
        record: Where it is noted.
        log: File that gets everything that TotalSegmentator prints; it stays only if a case failed.
        track: Draws the progress.

    Raises:
        InputError: A case has no mask in the end; the others have theirs.
    """
    left = [job for job in jobs if not record.has(job)]
    if not left:
        return
    by_case = {job.case: job for job in left}
    for job in left:
        # A mask of other settings must not pass for one of these if this run is interrupted.
        job.output.unlink(missing_ok=True)
    problems = []
    log.parent.mkdir(parents=True, exist_ok=True)
    for outcome in track(run_jobs(left, settings, models, log=log), "TotalSegmentator", len(left)):
        record.add(by_case[outcome.case], outcome)
        if outcome.problem:
            problems.append(outcome.problem)
    if problems:
        count = f"{len(problems)} of {len(jobs)} cases have no mask; the others are done.\n" if len(jobs) > 1 else ""
        raise InputError(count + "\n".join(problems))
    log.unlink(missing_ok=True)
