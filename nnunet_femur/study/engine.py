"""Snakemake, which finds out what is due and runs it here or on a cluster."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.errors import FemurError, SetupError
from nnunet_femur.processes import running
from nnunet_femur.study import slurm
from nnunet_femur.study.job_records import Records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nnunet_femur.study.config import Study
    from nnunet_femur.study.jobs import Job

_HERE = Path(__file__).parent
_JOB = re.compile(r"-m nnunet_femur\.cli\.study_job (?:'[^']*'|\S+) (\S+)")


@dataclass(frozen=True)
class Engine:
    """How the workflow runs.

    Attributes:
        study: The study.
        device: The device of jobs that use a GPU where there is one.
        gpus: How many of them this machine has; on a cluster 0, since that deals them out.
        cores: CPUs of this machine that may be used.
        threads: CPUs of a job that trains or predicts without a GPU; 0 for those that it asks of the cluster.
        profile: "slurm", or a folder with a Snakemake profile; None runs everything on this machine.
    """

    study: Study
    device: str
    gpus: int
    cores: int
    threads: int
    profile: str | None = None

    def due(self, jobs: Iterable[Job]) -> list[str]:
        """Names of the jobs that would run now, in an order in which they could.

        Raises:
            FemurError: Snakemake could not tell.
        """
        command = [*self._command(jobs), "--dry-run", "--printshellcmds"]
        ended = subprocess.run(command, check=False, text=True, capture_output=True)
        if ended.returncode:
            msg = f"Snakemake could not plan the study:\n{_last_lines(ended.stdout + ended.stderr)}"
            raise FemurError(msg)
        return _JOB.findall(ended.stdout + ended.stderr)

    @contextmanager
    def started(self, jobs: Iterable[Job]) -> Iterator[subprocess.Popen[str]]:
        """Run what is due; it goes on with all that does not depend on a job that failed.

        Raises:
            FemurError: The cluster is not here or does not answer, or has jobs of a study that is to run here.
        """
        command, environment, folder = [*self._command(jobs), "--keep-going"], dict(os.environ), self.study.folder
        with ExitStack() as stack:
            if self._on_slurm:
                environment |= slurm.telling(slurm.take_over(folder))
            else:
                slurm.refuse_beside(folder)
            process = stack.enter_context(running(command, environment))
            if self._on_slurm:
                stack.enter_context(slurm.cancelled_with_us(folder))
            yield process

    def waiting(self) -> slurm.Waiting | None:
        """What tells why jobs do not start; None where there is no queue."""
        return slurm.Waiting(self.study.folder) if self._on_slurm else None

    def _command(self, jobs: Iterable[Job]) -> list[str]:
        records = Records(self.study.records)
        self.study.records.mkdir(parents=True, exist_ok=True)
        again = [f"done/{name}.json" for name in records.due(jobs)]
        config = {"study": self.study.file, "device": self.device, "gpus": self.gpus, "threads": self.threads}
        return [
            *(sys.executable, "-m", "snakemake"),
            *("--snakefile", str(_HERE / "Snakefile")),
            *("--directory", str(self.study.records)),
            *("--config", *(f"{key}={value}" for key, value in config.items())),
            # What a result depends on is in our own records; a new version of this package is no reason to train again.
            *("--rerun-triggers", "mtime"),
            *(("--forcerun", *again) if again else ()),
            *("--rerun-incomplete", "--nolock", "--scheduler", "greedy"),
            *self._place(),
        ]

    def _place(self) -> list[str]:
        if self.profile is None:
            return ["--cores", str(self.cores), "--resources", f"device={self.gpus}"]
        folder = _profile_folder(self.profile)
        jobs = self.study.cluster.get("jobs")
        options = slurm.engine_options(self.study.folder) if self._on_slurm else []
        return ["--workflow-profile", str(folder), *(("--jobs", str(jobs)) if jobs else ()), *options]

    @property
    def _on_slurm(self) -> bool:
        return self.profile is not None and (self.profile == "slurm" or shutil.which("squeue") is not None)


def _profile_folder(profile: str) -> Path:
    """The folder of a profile that comes with the package, or that the user has written.

    Raises:
        SetupError: There is none, or what it needs is not installed.
    """
    if profile == "slurm" and find_spec("snakemake_executor_plugin_slurm") is None:
        msg = (
            "Snakemake's plugin for SLURM is not installed. Run: pip install 'nnunet_femur[slurm]', "
            "or in a clone: uv sync --extra slurm"
        )
        raise SetupError(msg)
    ours = _HERE / "profiles" / profile
    folder = ours if ours.is_dir() else Path(profile).expanduser()
    if not folder.is_dir():
        names = ", ".join(sorted(path.name for path in (_HERE / "profiles").iterdir()))
        msg = f"There is no profile {profile}: give {names}, or a folder with Snakemake's config.yaml."
        raise SetupError(msg)
    return folder


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-15:])
