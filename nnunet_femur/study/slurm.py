"""SLURM's part in a study: options of its jobs, jobs that an earlier run left in the queue, and reasons of failures.

SLURM's jobs continue when the process that submitted them is killed, and Snakemake does not recognise them. Therefore
the names of all SLURM jobs of a study begin with a text that only this study uses, by which a new run finds them. It
cancels pending jobs; a running job ends before the new job for the same result starts.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from nnunet_femur.errors import FemurError, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_ENDED = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL")
_QUERY_INTERVAL_S = 30.0
_TIMEOUT_S = 60
_RUNNING = "NNFEMUR_SLURM_RUNNING"


def name_of(folder: Path) -> str:
    """Return the beginning of the names of all SLURM jobs of a study.

    Args:
        folder: The study's folder.
    """
    return f"nnfemur_{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"


def engine_options(folder: Path) -> list[str]:
    """Return options of Snakemake's plugin for SLURM that depend on the study and on the cluster.

    Args:
        folder: The study's folder.
    """
    # `sacct` may be installed without a database of accounting; the plugin would wait for it forever.
    accounting = False
    with suppress(FemurError):
        accounting = _run("sacct", "--noheader", "--name", "nnfemur").returncode == 0
    return ["--slurm-jobname-prefix", name_of(folder), "--slurm-status-command", "sacct" if accounting else "squeue"]


def take_over(folder: Path) -> dict[str, str]:
    """Cancel the study's jobs that wait in the queue, and return those that run.

    Running jobs are not cancelled, since they may be hours ahead of their last checkpoint.

    Args:
        folder: The study's folder.

    Returns:
        Numbers of the running jobs by the rule of the workflow; several of one rule are separated by colons.

    Raises:
        SetupError: SLURM's commands are missing (code "not-installed").
        FemurError: SLURM does not answer (code "setup").
    """
    found: dict[str, str] = {}
    waiting = []
    for row in _queue(folder):
        if row.state == "PENDING":
            waiting.append(row.number)
        else:
            found[row.rule] = f"{found[row.rule]}:{row.number}" if row.rule in found else row.number
    _cancel(waiting)
    return found


def cancel(folder: Path) -> int:
    """Cancel all jobs of the study, running or not, and return their number.

    Args:
        folder: The study's folder.

    Raises:
        SetupError: SLURM's commands are missing (code "not-installed").
        FemurError: SLURM does not answer (code "setup").
    """
    numbers = [row.number for row in _queue(folder)]
    _cancel(numbers)
    return len(numbers)


def refuse_beside(folder: Path) -> None:
    """Refuse to run a study on this machine while SLURM has jobs of it, which would write the same results.

    Args:
        folder: The study's folder.

    Raises:
        SetupError: Jobs of this study are in SLURM's queue (code "locked").
    """
    rows = []
    # A machine may have SLURM's commands, but no SLURM.
    with suppress(FemurError):
        rows = _queue(folder) if shutil.which("squeue") else []
    if rows:
        numbers = " ".join(row.number for row in rows)
        msg = (
            f"{folder}: SLURM has jobs of this study. Continue with --profile slurm, or cancel them: scancel {numbers}"
        )
        raise SetupError(msg, code="locked")


@contextmanager
def cancelled_on_interruption(folder: Path) -> Iterator[None]:
    """Cancel the study's jobs if the block is left by an exception, such as Ctrl-C."""
    try:
        yield
    except BaseException:
        cancel(folder)
        raise


def as_environment(running: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variable that hands the result of :func:`take_over` to the workflow."""
    return {_RUNNING: json.dumps(running)}


def running_before() -> dict[str, str]:
    """Return the result of :func:`take_over`, in the process of the workflow."""
    return json.loads(os.environ.get(_RUNNING, "{}"))


_STATE = re.compile(r"SLURM status is: '(\w+)'")
_REFUSAL = re.compile(r"The error message was '(?:sbatch: error: )?(.*?)'?\.?(?:\n    sbatch call:|$)", re.DOTALL)
_MEANINGS = {
    "TIMEOUT": "time limit exceeded; raise cluster.resources.{stage}.minutes in the study's file",
    "OUT_OF_MEMORY": "out of memory; raise cluster.resources.{stage}.mem_mb in the study's file",
    "CANCELLED": "cancelled in SLURM",
    "NODE_FAIL": "failed with its node",
}


def meaning(message: str, stage: str) -> str:
    """Return the reason why SLURM refused or ended a job; empty if the message has no such reason.

    Args:
        message: Message of Snakemake's plugin for SLURM about a job that failed. The plugin gives the state of the job
            as a part of this text only.
        stage: Stage of the job.

    Example:
        >>> meaning("SLURM-job '14' failed, SLURM status is: 'CANCELLED'.", "train")
        'cancelled in SLURM'
    """
    state, refusal = _STATE.search(message), _REFUSAL.search(message)
    if state and state[1] in _MEANINGS:
        return _MEANINGS[state[1]].format(stage=stage)
    if refusal:
        return "SLURM refused it: " + " ".join(refusal[1].replace("sbatch: error: ", "").split())
    return ""


class Waiting:
    """Reasons why jobs of a study wait in SLURM's queue, queried every half minute.

    Args:
        folder: The study's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked = -math.inf
        self._answer = ""

    def look(self) -> str:
        """Return the reasons in SLURM's words; empty if no job waits or SLURM does not answer."""
        if time.monotonic() - self._asked > _QUERY_INTERVAL_S:
            self._asked = time.monotonic()
            with suppress(FemurError):
                reasons = {row.reason for row in _queue(self._folder) if row.state == "PENDING"}
                self._answer = f"Jobs wait in SLURM's queue: {', '.join(sorted(reasons))}" if reasons else ""
        return self._answer


class _Row(NamedTuple):
    number: str
    state: str
    name: str
    reason: str
    rule: str


def _queue(folder: Path) -> list[_Row]:
    """Return the study's jobs that have not ended."""
    ended = _run("squeue", "--noheader", "--user", getpass.getuser(), "--format", "%A|%T|%j|%r|%k")
    if ended.returncode:
        msg = f"SLURM does not answer: {ended.stderr.strip()}"
        raise FemurError(msg, code="setup")
    rows = (_Row(*line.strip().split("|", 4)) for line in ended.stdout.splitlines() if line.count("|") >= 4)
    ours = [row for row in rows if row.name.startswith(name_of(folder)) and row.state not in _ENDED]
    return [row._replace(rule=row.rule.removeprefix("rule_")) for row in ours]


def _cancel(numbers: list[str]) -> None:
    if numbers:
        _run("scancel", *numbers)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, check=False, text=True, capture_output=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        msg = f"SLURM does not answer: {command[0]} took more than {_TIMEOUT_S} s."
        raise FemurError(msg, code="setup") from None
    except FileNotFoundError:
        msg = f"{command[0]} not found. Run the study where SLURM's commands are installed, usually on a login node."
        raise SetupError(msg, code="not-installed") from None
