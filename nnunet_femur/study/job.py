"""One job of a study: its command and record, its environment and resources, and its GPU."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections import deque
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.atomic_files import rename, rename_flushed, write_json
from nnunet_femur.dataset.environment import sleeping_threads, variables
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.processes import peak_memory_mib, running
from nnunet_femur.records import locked
from nnunet_femur.study.commands import ON_GPU
from nnunet_femur.study.job_records import Records, Status
from nnunet_femur.study.jobs import jobs_of
from nnunet_femur.study.study_file import read_study
from nnunet_femur.study.training_settings import can_continue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from nnunet_femur.study.commands import Job
    from nnunet_femur.study.study_file import Study


DEFAULTS: dict[str, dict[str, int]] = {
    "phantoms": {"mem_mb": 2_000, "minutes": 30, "cpus": 1},
    "convert": {"mem_mb": 4_000, "minutes": 120, "cpus": 2},
    "plan": {"mem_mb": 16_000, "minutes": 240, "cpus": 4},
    "train": {"mem_mb": 32_000, "minutes": 2_880, "cpus": 8},
    "validate": {"mem_mb": 32_000, "minutes": 240, "cpus": 8},
    "predict": {"mem_mb": 16_000, "minutes": 120, "cpus": 4},
    "baseline": {"mem_mb": 16_000, "minutes": 240, "cpus": 4},
    "ensemble": {"mem_mb": 16_000, "minutes": 240, "cpus": 2},
    "select": {"mem_mb": 16_000, "minutes": 240, "cpus": 2},
    "compare": {"mem_mb": 8_000, "minutes": 120, "cpus": 2},
}
"""Memory in MB, time limit in minutes and CPUs by stage, for volumes of the study's size."""

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""Environment variable with the GPUs that a process may use."""

_NO_LOGGERS = {"validate": {"nnUNet_wandb_enabled": "0"}}
"""Environment variables by stage. nnU-Net deletes the W&B run of a training when only its validation is repeated."""

_PROGRESS_LINE = re.compile(r"Epoch \d+ *$|Pseudo dice .*|[Pp]redicting \S+|Mean Validation Dice.*")
"""Lines of nnU-Net's output that show progress."""

_RECORD_INTERVAL_S = 1.0
"""Least time between two records of progress in seconds."""

_LAST_LINES = 400
"""Number of last lines of output that are searched for the reason of a failure."""

_OUT_OF_MEMORY = re.compile(r"CUDA out of memory|OutOfMemoryError")
_ERROR = re.compile(r"(?:error: |[\w.]*Error: ).*")


def run_named(file: Path, name: str, *, device: str = "cpu", gpus: int = 0, threads: int = 1) -> int:
    """Run a job of a study.

    Args:
        file: The study's file.
        name: Name of the job.
        device: "cpu", "cuda" or "mps".
        gpus: GPUs of this machine; a job that uses one waits for it.
        threads: Threads of the job.

    Returns:
        Exit status of the job's command; 0 if the job is done.

    Raises:
        InputError: The study has problems (code "invalid-study"), or no job of this name (code "invalid-option").
    """
    study = read_study(file)
    job = jobs_of(study, device=device).get(name)
    if job is None:
        msg = f"{file}: unknown job {name}."
        raise InputError(msg, code="invalid-option")
    with one_gpu(gpus if job.on_gpu else 0) as gpu:
        environment = {**os.environ, **environment_of(study, device, threads), **gpu, **_NO_LOGGERS.get(job.stage, {})}
        return run_job(job, study, environment)


def run_job(job: Job, study: Study, environment: Mapping[str, str]) -> int:
    """Run a job's command, continue an earlier run if there is one, and record the result.

    Args:
        job: The job.
        study: The study of the job.
        environment: Environment variables of the command.

    Returns:
        Exit status of the command; 0 if the job is done.
    """
    records = Records(study.records)
    _move_model_of_other_settings(job, records)
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
    last_lines: deque[str] = deque(maxlen=_LAST_LINES)
    written = 0.0

    def _on_line(line: str) -> None:
        nonlocal written, status
        last_lines.append(line)
        news = _PROGRESS_LINE.search(line)
        if news and time.monotonic() - written > _RECORD_INTERVAL_S:
            written = time.monotonic()
            status = status.running(news[0].strip())
            records.write_status(job, status)

    code = _run_logged(command, environment, log, _on_line)
    if code == 0 and job.partial is not None:
        shutil.rmtree(job.made, ignore_errors=True)
        rename_flushed(job.partial, job.made)
    if code == 0 and not job.made.exists():
        last_lines.append(f"error: {job.made}: missing, although the command ended with status 0.\n")
        _append(log, last_lines[-1])
        code = 1
    reason = _reason_of_failure(last_lines) if code else None
    status = status.ended(reason=reason, peak_memory_mib=peak_memory_mib(of_children=True))
    records.write_status(job, status)
    if code == 0:
        records.write_done(job, status)
    return code


def environment_of(study: Study, device: str, threads: int) -> dict[str, str]:
    """Return the environment variables of a job's command; those of the study's file take precedence.

    Args:
        study: The study.
        device: Device of training and prediction.
        threads: CPUs of the job.
    """
    sized = _cpu_settings(threads) if device == "cpu" else _gpu_settings(threads)
    return {**variables(study.folder), **sleeping_threads(), **sized, **study.environment}


def resources_of(study: Study, stage: str, device: str, *, after: str | None = None) -> dict[str, Any]:
    """Return the resources of a job: on one machine its devices, on a cluster the request to its scheduler.

    Args:
        study: The study; its section `cluster` takes precedence over the defaults.
        stage: One of the stages of :data:`~nnunet_femur.study.commands.STAGES`.
        device: Device of jobs that use a GPU if there is one.
        after: Numbers of SLURM jobs, separated by colons, that have to end first.
    """
    cluster = study.cluster
    requested = {**DEFAULTS[stage], **cluster.get("resources", {}).get(stage, {})}
    found: dict[str, Any] = {
        "mem_mb": requested["mem_mb"],
        "runtime": requested["minutes"],
        "cpus_per_task": requested["cpus"],
    }
    on_gpu = stage in ON_GPU and device != "cpu"
    if on_gpu:
        found["device"] = 1
        found["gres"] = cluster.get("gres", "gpu:1")
    partition = cluster.get("gpu-partition") if on_gpu else None
    of_cluster = {
        "slurm_partition": partition or cluster.get("partition"),
        "slurm_account": cluster.get("account"),
        "qos": cluster.get("qos"),
        "constraint": cluster.get("constraint"),
        "slurm_extra": " ".join(filter(None, (cluster.get("extra"), after and f"--dependency=afterany:{after}"))),
    }
    return found | {name: value for name, value in of_cluster.items() if value}


def find_device(wanted: str) -> tuple[str, int]:
    """Return the device of this machine, and the number of its GPUs.

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
    """Reserve one of a machine's GPUs, and yield the environment variable that restricts a command to it.

    All studies of a machine share the locks, so two studies never use one GPU. Waits while no GPU is free.

    Args:
        count: GPUs of the machine; with 0, as on a cluster that assigns them itself, nothing is reserved.
        folder: Folder of the lock files; by default the folder of temporary files.
    """
    if count == 0:
        yield {}
        return
    names = os.environ.get(VISIBLE, ",".join(map(str, range(count)))).split(",")
    while True:
        for name in names:
            lock = (folder or Path(tempfile.gettempdir())) / f"nnfemur-gpu-{name}.lock"
            with ExitStack() as stack:
                try:
                    stack.enter_context(locked(lock, busy=f"GPU {name} is in use.", shared=True))
                except SetupError:
                    continue
                yield {VISIBLE: name}
                return
        time.sleep(1)


def _cpu_settings(threads: int) -> dict[str, str]:
    """Return nnU-Net's settings for a machine without a GPU: data are loaded in the training process.

    Each further process imports nnU-Net again, which takes longer than all its work.
    """
    return {
        "nnUNet_n_proc_DA": "0",
        "nnUNet_def_n_proc": "2",
        "OMP_NUM_THREADS": str(threads),
        "nnUNet_compile": "f",
    }


def _gpu_settings(threads: int) -> dict[str, str]:
    """Return nnU-Net's own numbers of processes, limited to the job's CPUs; nnU-Net counts the machine's."""
    return {"nnUNet_n_proc_DA": str(min(threads, 12)), "nnUNet_def_n_proc": str(min(threads, 8))}


def _move_model_of_other_settings(job: Job, records: Records) -> None:
    """Move a network that was trained with other settings to ``replaced``, unless its training can continue."""
    earlier = records.status(job)
    if job.model is None or not job.model.exists() or earlier is None or dict(earlier.settings) == dict(job.settings):
        return
    if job.trainer is not None and can_continue(earlier.settings, json.loads(json.dumps(job.settings)), job.trainer):
        return
    replaced = records.folder / "replaced" / f"{job.label}-{time.strftime('%Y%m%d-%H%M%S')}"
    replaced.parent.mkdir(parents=True, exist_ok=True)
    rename(job.model, replaced)


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


def _reason_of_failure(lines: Iterable[str]) -> str:
    """Return the reason of a failure: the last line of a command's output that looks like an error, else the last line.

    The output is text for people, so the choice is a guess.
    """
    shown = [line.strip() for line in lines if line.strip()]
    if any(_OUT_OF_MEMORY.search(line) for line in shown):
        return "GPU out of memory. Use a smaller patch or fewer slices in a batch."
    errors = [line for line in shown if _ERROR.match(line)]
    return (errors or shown or ["no output"])[-1]
