"""Results of a study that its file no longer contains."""

from __future__ import annotations

from glob import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from nnunet_femur.study.commands import Job
    from nnunet_femur.study.study_file import Study


def removed_methods(study: Study, jobs: Iterable[Job]) -> list[str]:
    """Return the names of folders in the results that earlier versions of the study's file made.

    Results that somebody else put there, such as a training by hand, are not among them. Nothing is deleted, so a
    method that is added again is not trained again.

    Args:
        study: The study.
        jobs: Its jobs, without the comparison.
    """
    results = study.results / study.dataset
    wanted = {job.made.relative_to(results).parts[0] for job in jobs if results in job.made.parents}
    found = (path.name for path in results.glob("*__*__*") if path.is_dir()) if results.is_dir() else ()
    return sorted(name for name in found if name not in wanted and _was_made(study.records / "done", name))


def _was_made(done: Path, name: str) -> bool:
    """Return True if a job of the study has made a folder of this name."""
    patterns = (
        f"train-{escape(name)}-fold_*.json",
        f"ensemble-{escape(name)}.json",
        f"select-{escape(name)}.json",
        f"baseline-{escape(name.rpartition('__')[2])}.json" if name.startswith("TotalSegmentator__") else "",
    )
    return any(any(done.glob(pattern)) for pattern in patterns if pattern)
