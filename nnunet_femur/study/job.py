"""Which device networks run on, and which of several GPUs a job gets."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.atomic_files import rename_flushed, write_json
from nnunet_femur.errors import InputError
from nnunet_femur.processes import peak_memory_mib, running
from nnunet_femur.study.checks import read_study
from nnunet_femur.study.job_records import Records, Status
from nnunet_femur.study.jobs import environment_of, jobs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nnunet_femur.study.config import Study
    from nnunet_femur.study.jobs import Job


VISIBLE = "CUDA_VISIBLE_DEVICES"


def find_device(wanted: str) -> tuple[str, int]:
    """The device of this machine, and how many of its kind there are.

    Args:
        wanted: "auto", "cpu", "cuda" or "mps".
    """
    if wanted == "cpu" or (wanted == "auto" and shutil.which("nvidia-smi") is None and sys.platform != "darwin"):
        return "cpu", 0
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        wanted = "cuda" if count else "mps" if torch.backends.mps.is_available() else "cpu"
    return wanted, {"cuda": max(count, 1), "mps": 1, "cpu": 0}[wanted]


@contextmanager
def one_gpu(count: int, folder: Path | None = None) -> Iterator[dict[str, str]]:
    """Hold one of a machine's GPUs and give the variable that shows it, and no other, to a command.

    All studies of a machine share the locks, so that two of them do not meet on one GPU. Waits while none is free.

    Args:
        count: GPUs of the machine; with 0, as on a cluster that deals them out itself, nothing is held.
        folder: Where the locks lie; by default the folder for temporary files.
    """
    from filelock import FileLock, Timeout

    if count == 0:
        yield {}
        return
    names = os.environ.get(VISIBLE, ",".join(map(str, range(count)))).split(",")
    while True:
        for name in names:
            lock = FileLock((folder or Path(tempfile.gettempdir())) / f"nnfemur-gpu-{name}.lock", mode=0o666)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            with lock:
                yield {VISIBLE: name}
            return
        time.sleep(1)


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
