"""Conversion of a part of the cases, so that several machines build one dataset."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nnunet_femur.conversion.casework import convert_case, crashed
from nnunet_femur.conversion.result import ConversionResult
from nnunet_femur.conversion.staging import Staging, require_replaceable
from nnunet_femur.findings import errors_of
from nnunet_femur.processes import each
from nnunet_femur.progress import SILENT, Progress, track

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nnunet_femur.conversion.casework import Done
    from nnunet_femur.conversion.source_cases import SourceCases
    from nnunet_femur.shards import Shard


def convert_shard(
    found: SourceCases, target: Path, shard: Shard, *, jobs: int = 1, progress: Progress = SILENT
) -> ConversionResult:
    """Convert the cases of a part into the folder in which the dataset is built.

    The files of each case are complete before its record appears, and no other part writes them. The dataset itself is
    written by a conversion of all cases, which finds these files done.

    Args:
        found: All cases of the source.
        target: Folder of the dataset.
        shard: The part.
        jobs: Number of processes.
        progress: Receives the progress.

    Returns:
        The findings about these cases; without cases and split, which only all cases together determine.

    Raises:
        InputError: The dataset must not be replaced (code "exists").
    """
    require_replaceable(target)
    mine = replace(found, cases=tuple(case for case in found.cases if shard.takes(case.id)))
    headers = mine.check_headers(progress)
    bad = {case: findings for case, findings in headers.items() if errors_of(findings)}
    staging = Staging(target, shared=True)
    tasks = mine.tasks(headers, staging)
    running = each(convert_case, tasks, jobs=jobs, crashed=crashed)
    done = track(running, "Converting", len(tasks), progress=progress)
    read = [one for _, one in sorted(done, key=lambda numbered: numbered[0])]
    bad |= {one.case: one.findings for one in read if one.record is None}
    return ConversionResult(
        target,
        findings=tuple(finding for case in bad.values() for finding in case) + _of_usable(read),
        written=tuple(one.case for one in read if one.record is not None and not one.reused),
        reused=tuple(one.case for one in read if one.reused),
        left_out=tuple(bad) if found.leaves_out else (),
    )


def _of_usable(done: Sequence[Done]) -> tuple:
    return tuple(finding for one in done if one.record is not None for finding in one.findings)
