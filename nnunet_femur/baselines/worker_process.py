"""Run TotalSegmentator in a separate process, without access to the user's home and nnU-Net folders."""

from __future__ import annotations

import json
import os
import shutil
import site
import sys
import tempfile
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from nnunet_femur.atomic_files import write_json
from nnunet_femur.baselines.settings import Outcome
from nnunet_femur.baselines.worker import MARK
from nnunet_femur.dataset.environment import EXT_TRAINER, NNUNET_FOLDERS, sleeping_threads
from nnunet_femur.processes import running
from nnunet_femur.progress import SILENT, Progress
from nnunet_femur.weights.models import entries, other_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nnunet_femur.baselines.settings import Job, Settings
    from nnunet_femur.weights.models import SourceModel

NO_STATISTICS = {
    "totalseg_id": "nnunet_femur",
    "send_usage_stats": False,
    "prediction_counter": 0,
    "statistics_disclaimer_shown": True,
}
"""Content of ``config.json`` in the temporary home folder, with which TotalSegmentator sends no usage statistics."""


def run_jobs(
    jobs: Sequence[Job],
    settings: Settings,
    models: Sequence[SourceModel],
    *,
    log: Path,
    progress: Progress = SILENT,
) -> Iterator[Outcome]:
    """Segment cases one after another in one process, and yield the outcome of each as soon as it is known.

    A case that ends the process is reported as failed, and the others go on in a new one.

    Args:
        jobs: The cases.
        settings: Settings of TotalSegmentator.
        models: The models that it may use.
        log: File that gets everything that TotalSegmentator prints.
        progress: Receives the case that is being segmented, as a task of its name.
    """
    left = list(jobs)
    with isolated(models) as (folder, environment), log.open("w", encoding="utf-8") as printed:
        while left:
            current, finished = _Current(progress), 0
            with closing(current):
                for message in _worker(left, settings, folder, environment, printed):
                    if "begins" in message:
                        current.start(message["begins"])
                    elif any(job.case == message["case"] for job in left):
                        left = [job for job in left if job.case != message["case"]]
                        current.close()
                        finished += 1
                        yield Outcome(**message)
                lost = [job for job in left if job.case == current.case]
            # A process that ended between two cases has shown that it can start.
            for job in lost or ([] if finished else list(left)):
                left.remove(job)
                cause = "as when memory runs out" if lost else "before its first case"
                problem = f"{job.ct}: TotalSegmentator's process ended unexpectedly, {cause}. Its output is in {log}."
                yield Outcome(job.case, problem=problem, code="program-failed")


class _Current:
    """The case that is being segmented, shown as a task."""

    def __init__(self, progress: Progress) -> None:
        self.case: str | None = None
        self._progress = progress

    def start(self, case: str) -> None:
        """Begin the task of a case."""
        self.close()
        self.case = case
        self._progress.begin(f"  {case}")

    def close(self) -> None:
        """End the task."""
        if self.case is not None:
            self._progress.end(f"  {self.case}")
        self.case = None


def _worker(
    jobs: Sequence[Job], settings: Settings, folder: Path, environment: dict[str, str], log: TextIO
) -> Iterator[dict]:
    request = folder / "request.json"
    write_json(request, {"jobs": [job.as_dict() for job in jobs], "settings": asdict(settings)}, durable=False)
    # With -P, Python imports no modules of the current folder.
    command = [sys.executable, "-P", "-m", "nnunet_femur.baselines.worker", str(request)]
    with running(command, environment) as process:
        for line in process.stdout or ():
            message = _message(line)
            if message:
                yield message
                continue
            # A full disk that cannot take the log must not end the batch.
            with suppress(OSError):
                log.write(line)
                log.flush()


def _message(line: str) -> dict | None:
    """Return a worker's message; None for any other line, and for a message that other output has interrupted."""
    if not line.startswith(MARK):
        return None
    try:
        message = json.loads(line.removeprefix(MARK))
    except ValueError:
        return None
    return message if isinstance(message, dict) and ("begins" in message or "case" in message) else None


@contextmanager
def isolated(models: Sequence[SourceModel]) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield a temporary folder with a home and a weights folder for TotalSegmentator, and the environment to use them.

    TotalSegmentator downloads models that it does not find and removes outdated ones, writes into the home folder, and
    sets nnU-Net's folders. So it gets a separate home, links to the models that are needed, and empty folders in place
    of the others.

    Args:
        models: The models that are needed.
    """
    with tempfile.TemporaryDirectory(prefix="nnfemur_baseline_") as name:
        folder = Path(name)
        home, weights = folder / "home", folder / "weights"
        home.mkdir()
        weights.mkdir()
        write_json(home / "config.json", NO_STATISTICS, durable=False)
        for model in models:
            _link(model.folder.parent.resolve(), weights / model.dataset)
        for dataset in other_parts():
            (weights / dataset).mkdir()
        for entry in entries():
            (weights / entry.dataset).mkdir(exist_ok=True)
        environment = {key: value for key, value in os.environ.items() if key != EXT_TRAINER}
        environment |= dict.fromkeys(NNUNET_FOLDERS, str(weights))
        environment |= sleeping_threads()
        environment |= {
            "TOTALSEG_HOME_DIR": str(home),
            "TOTALSEG_WEIGHTS_PATH": str(weights),
            "HOME": str(home),
            "USERPROFILE": str(home),
            "MPLCONFIGDIR": str(home),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "PYTHONUSERBASE": site.getuserbase(),
            "PYTHONUNBUFFERED": "1",
        }
        yield folder, environment


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source, target_is_directory=True)
    except OSError:
        # Windows lets only some users create links.
        shutil.copytree(source, target)
