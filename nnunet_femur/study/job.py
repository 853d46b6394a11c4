"""One job of a study: its command, run and recorded."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import time
from typing import TYPE_CHECKING

from nnunet_femur.errors import InputError
from nnunet_femur.processes import peak_memory_mib, running
from nnunet_femur.records import rename_flushed, write_json
from nnunet_femur.study.config import read_study
from nnunet_femur.study.gpus import one_gpu
from nnunet_femur.study.jobs import environment_of, jobs_of
from nnunet_femur.study.state import Records, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from nnunet_femur.study.config import Study
    from nnunet_femur.study.jobs import Job

_NEWS = re.compile(r"Epoch \d+ *$|Pseudo dice .*|[Pp]redicting \S+|Mean Validation Dice.*")
_NEWS_EVERY_S = 1.0


def run_named(file: Path, name: str, *, device: str = "cpu", gpus: int = 0, threads: int = 1) -> int:
    """Run the job of this name.

    Args:
        file: The study's file.
        name: The job's name.
        device: "cpu", "cuda" or "mps".
        gpus: GPUs of this machine; a job that uses one waits for it.
        threads: Threads of the job.

    Returns:
        The status that the job's command ended with; 0 if all was done.

    Raises:
        InputError: The study has problems, or no job of this name.
    """
    study = read_study(file)
    job = jobs_of(study, device=device).get(name)
    if job is None:
        msg = f"{file}: has no job {name}."
        raise InputError(msg)
    with one_gpu(gpus if job.on_gpu else 0) as gpu:
        environment = {**os.environ, **environment_of(study, device, threads), **gpu}
        return run_job(job, study, environment)


def run_job(job: Job, study: Study, environment: Mapping[str, str]) -> int:
    """Run a job's command, resuming what an earlier run has left, and record how it went.

    Args:
        job: The job.
        study: The study that it belongs to.
        environment: Variables of the command.

    Returns:
        The status that the command ended with; 0 is well.
    """
    records = Records(study.records)
    _put_aside_other_settings(job, records)
    if job.partial is not None:
        shutil.rmtree(job.partial, ignore_errors=True)
    if job.stage == "plan" and job.settings["recipe"]:
        recipe = study.records / "recipes" / f"{job.label}.json"
        recipe.parent.mkdir(parents=True, exist_ok=True)
        write_json(recipe, job.settings["recipe"])
    resume = job.resumes is not None and any(job.made.parent.glob(job.resumes))
    command = (*job.command, *(("--c",) if resume else ()))
    log = records.log(job)
    log.parent.mkdir(parents=True, exist_ok=True)
    status = Status("running", command, job.settings, str(log), platform.node(), started=time.time())
    records.write_status(job, status)
    told = 0.0

    def tell(line: str) -> None:
        nonlocal told, status
        found = _NEWS.search(line)
        if found and time.monotonic() - told > _NEWS_EVERY_S:
            told = time.monotonic()
            status = status.after("running", news=found[0].strip())
            records.write_status(job, status)

    code = _run_logged(command, environment, log, tell)
    if code == 0 and job.partial is not None:
        shutil.rmtree(job.made, ignore_errors=True)
        rename_flushed(job.partial, job.made)
    if code == 0 and not job.made.exists():
        _append(log, f"error: the command ended well, but there is no {job.made}\n")
        code = 1
    status = status.after("failed" if code else "done", peak_memory_mib=peak_memory_mib(of_children=True))
    records.write_status(job, status)
    if code == 0:
        records.write_done(job, status)
    return code


def _put_aside_other_settings(job: Job, records: Records) -> None:
    """Keep a network that was trained by other settings, but out of the way of one that starts anew."""
    earlier = records.status(job)
    if job.model is None or not job.model.exists() or earlier is None or dict(earlier.settings) == dict(job.settings):
        return
    aside = records.folder / "replaced" / f"{job.label}-{time.strftime('%Y%m%d-%H%M%S')}"
    aside.parent.mkdir(parents=True, exist_ok=True)
    job.model.rename(aside)


def _run_logged(
    command: Sequence[str], environment: Mapping[str, str], log: Path, on_line: Callable[[str], None]
) -> int:
    """Run a command, append its output to `log` line by line, and return its exit status."""
    _append(log, f"# {time.strftime('%Y-%m-%d %H:%M:%S')} on {platform.node()}\n$ {shlex.join(command)}\n")
    with log.open("a", encoding="utf-8") as file, running(command, environment) as process:
        for line in process.stdout or ():
            file.write(line)
            file.flush()
            on_line(line)
    return process.returncode


def _append(log: Path, text: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(text)
