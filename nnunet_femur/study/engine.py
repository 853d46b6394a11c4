"""Snakemake as the engine of a study: the jobs that are due, their runs, and the events of a run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nnunet_femur.errors import FemurError, SetupError
from nnunet_femur.processes import running
from nnunet_femur.study import slurm
from nnunet_femur.study.job import find_device
from nnunet_femur.study.job_records import Records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nnunet_femur.study.commands import Job
    from nnunet_femur.study.study_file import Study

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Event:
    """Start or end of a job, as Snakemake reports it.

    Attributes:
        kind: "started" (on a cluster: submitted), "finished" or "failed".
        job: Name of the job.
        text: Snakemake's reason of the start, or the executor's message about the failure, if it has one.
    """

    kind: Literal["started", "finished", "failed"]
    job: str
    text: str = ""


class Events:
    """Events of a run, read while Snakemake writes them.

    Args:
        file: The file that Snakemake's process writes.
        jobs: All jobs of the study.
    """

    def __init__(self, file: Path, jobs: Iterable[Job]) -> None:
        self._file = file
        self._names = {job.rule: job.name for job in jobs}
        self._read_bytes = 0

    def new(self) -> list[Event]:
        """Return the events since the last call."""
        try:
            with self._file.open("rb") as file:
                file.seek(self._read_bytes)
                lines = file.read().splitlines(keepends=True)
        except OSError:
            return []
        # The last line may not be complete yet.
        whole = [line for line in lines if line.endswith(b"\n")]
        self._read_bytes += sum(map(len, whole))
        found = map(json.loads, whole)
        return [
            Event(each["event"], self._names[each["rule"]], each.get("reason") or each.get("message") or "")
            for each in found
            if each["rule"] in self._names
        ]


@dataclass(frozen=True)
class Engine:
    """Snakemake for one study on one machine or cluster.

    Attributes:
        study: The study.
        device: Device of jobs that use a GPU if there is one.
        gpus: GPUs of this machine; 0 on a cluster, which assigns them itself.
        cores: CPUs of this machine that may be used.
        threads: CPUs of a job that trains or predicts without a GPU; 0: the number that it requests of the cluster.
        profile: "slurm", or a folder with a Snakemake profile; None runs everything on this machine.
    """

    study: Study
    device: str
    gpus: int
    cores: int
    threads: int
    profile: str | None = None

    def due(self, jobs: Iterable[Job]) -> dict[str, str]:
        """Return the jobs that would run now, in an order in which they could, each with Snakemake's reason.

        Raises:
            FemurError: Snakemake cannot plan the study.
        """
        jobs = tuple(jobs)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "events.jsonl"
            command = [*self._command(jobs, file), "--dry-run"]
            ended = subprocess.run(
                command, check=False, capture_output=True, text=True, encoding="utf-8", errors="replace"
            )
            if ended.returncode:
                msg = f"{self.study.file}: Snakemake cannot plan the study.\n{_last_lines(ended.stdout + ended.stderr)}"
                raise FemurError(msg, code="job-failed")
            return {event.job: event.text for event in Events(file, jobs).new()}

    @contextmanager
    def started(self, jobs: Iterable[Job], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
        """Run the jobs that are due; if a job fails, all jobs that do not depend on it go on.

        Args:
            jobs: All jobs of the study.
            environment: Environment variables of Snakemake and of all jobs.

        Raises:
            FemurError: The cluster is missing or does not answer, or runs jobs of a study that is to run here.
        """
        records = Records(self.study.records)
        command = [*self._command(jobs, records.events), "--keep-going"]
        records.events.unlink(missing_ok=True)
        with ExitStack() as stack:
            if self._on_slurm:
                environment = {**environment, **slurm.as_environment(slurm.take_over(self.study.folder))}
            else:
                slurm.refuse_beside(self.study.folder)
            process = stack.enter_context(running(command, environment))
            if self._on_slurm:
                stack.enter_context(slurm.cancelled_on_interruption(self.study.folder))
            yield process

    def waiting(self) -> slurm.Waiting | None:
        """Return the reader of the cluster's queue; None on one machine."""
        return slurm.Waiting(self.study.folder) if self._on_slurm else None

    def _command(self, jobs: Iterable[Job], events: Path) -> list[str]:
        records = Records(self.study.records)
        self.study.records.mkdir(parents=True, exist_ok=True)
        again = [f"done/{name}.json" for name in records.outdated(jobs)]
        config = {"study": self.study.file, "device": self.device, "gpus": self.gpus, "threads": self.threads}
        return [
            *(sys.executable, "-m", "nnunet_femur.study.engine_logger", str(events)),
            *("--snakefile", str(_HERE / "Snakefile")),
            *("--directory", str(self.study.records)),
            *("--config", *(f"{key}={value}" for key, value in config.items())),
            # Settings are compared by our own records; the package's docstring gives the reasons.
            *("--rerun-triggers", "mtime"),
            *(("--forcerun", *again) if again else ()),
            *("--rerun-incomplete", "--nolock", "--scheduler", "greedy"),
            *self._executor_arguments(),
        ]

    def _executor_arguments(self) -> list[str]:
        if self.profile is None:
            return ["--cores", str(self.cores), "--resources", f"device={self.gpus}"]
        folder = _profile_folder(self.profile)
        jobs = self.study.cluster.get("jobs")
        options = slurm.engine_options(self.study.folder) if self._on_slurm else []
        return ["--workflow-profile", str(folder), *(("--jobs", str(jobs)) if jobs else ()), *options]

    @property
    def _on_slurm(self) -> bool:
        return self.profile is not None and (self.profile == "slurm" or shutil.which("squeue") is not None)


def engine_of(study: Study, *, cores: int | None = None, profile: str | None = None) -> Engine:
    """Return the engine of a study on this machine or a cluster.

    Args:
        study: The study.
        cores: CPUs to use; None: all that this process may use.
        profile: "slurm", or a folder with a Snakemake profile; None for this machine.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = cores or usable
    if profile:
        has_gpus = any(key in study.cluster for key in ("gres", "gpu-partition"))
        device = ("cuda" if has_gpus else "cpu") if study.device == "auto" else study.device
        return Engine(study, device, 0, cores, study.threads or 0, profile)
    device, gpus = find_device(study.device)
    # Several GPUs share the CPUs, which load and augment for them.
    return Engine(study, device, gpus, cores, min(study.threads or max(cores // max(gpus, 1), 1), cores))


def _profile_folder(profile: str) -> Path:
    """Return the folder of a profile of this package or of the user.

    Raises:
        SetupError: The profile does not exist, or a plugin that it needs is not installed.
    """
    if profile == "slurm" and find_spec("snakemake_executor_plugin_slurm") is None:
        msg = (
            "Snakemake's plugin for SLURM is not installed. Run: pip install 'nnunet_femur[slurm]', "
            "or in a clone: uv sync --extra slurm"
        )
        raise SetupError(msg, code="not-installed")
    ours = _HERE / "profiles" / profile
    folder = ours if ours.is_dir() else Path(profile).expanduser()
    if not folder.is_dir():
        names = ", ".join(sorted(path.name for path in (_HERE / "profiles").iterdir()))
        msg = f"{profile}: unknown profile. Give {names}, or a folder with Snakemake's config.yaml."
        raise SetupError(msg, code="not-found")
    return folder


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-15:])
