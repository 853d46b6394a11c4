"""What SLURM is told of a study, and what it still has in its queue from an earlier start of it.

SLURM's jobs go on when the process that submitted them is killed, and Snakemake does not know them again. All jobs of a
study therefore bear a name that only this study has; those that a new start finds running are waited for, each by the
new job that does the same.
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
_ASK_EVERY_S = 30.0
_PATIENCE_S = 60
_RUNNING = "NNFEMUR_SLURM_RUNNING"
_ERROR = re.compile(r"^Error in rule (\w+):\n    message: (.*?)(?:\n    |\Z)", re.MULTILINE | re.DOTALL)
_STATE = re.compile(r"SLURM status is: '(\w+)'")
_REFUSAL = re.compile(r"The error message was '(?:sbatch: error: )?(.*?)'?\.?$", re.DOTALL)
_MEANINGS = {
    "TIMEOUT": "the time was over: raise cluster.resources.{stage}.minutes in the study's file",
    "OUT_OF_MEMORY": "the memory was not enough: raise cluster.resources.{stage}.mem_mb in the study's file",
    "CANCELLED": "was cancelled in SLURM",
    "NODE_FAIL": "its node failed",
}


def name_of(folder: Path) -> str:
    """How the names of all SLURM jobs of a study begin.

    Args:
        folder: The study's folder.
    """
    return f"nnfemur_{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"


def engine_options(folder: Path) -> list[str]:
    """Options of Snakemake's plugin for SLURM that depend on the study and on the cluster.

    Args:
        folder: The study's folder.
    """
    # Without a database of accounting, `sacct` is installed all the same, and the plugin would wait for it for ever.
    accounting = False
    with suppress(FemurError):
        accounting = _run("sacct", "--noheader", "--name", "nnfemur").returncode == 0
    return ["--slurm-jobname-prefix", name_of(folder), "--slurm-status-command", "sacct" if accounting else "squeue"]


def take_over(folder: Path) -> dict[str, str]:
    """Cancel the study's jobs that wait in the queue, and tell which of them are running.

    Those that run are left to it, since they may be hours ahead of their last checkpoint.

    Args:
        folder: The study's folder.

    Returns:
        Numbers of the running jobs by the rule of the workflow; several of one rule are separated by colons.

    Raises:
        SetupError: SLURM's commands are not here.
        FemurError: SLURM does not answer.
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
    """Cancel all jobs of the study, running or not, and say how many there were.

    Args:
        folder: The study's folder.

    Raises:
        SetupError: SLURM's commands are not here.
        FemurError: SLURM does not answer.
    """
    numbers = [row.number for row in _queue(folder)]
    _cancel(numbers)
    return len(numbers)


def refuse_beside(folder: Path) -> None:
    """Refuse to run here what SLURM is running still; two jobs would write the same results.

    Args:
        folder: The study's folder.

    Raises:
        SetupError: Jobs of this study are in SLURM's queue.
    """
    rows = []
    # A machine may have SLURM's commands, but no SLURM.
    with suppress(FemurError):
        rows = _queue(folder) if shutil.which("squeue") else []
    if rows:
        numbers = " ".join(row.number for row in rows)
        msg = f"{folder}: SLURM has jobs of this study. Go on with --profile slurm, or cancel them: scancel {numbers}"
        raise SetupError(msg)


@contextmanager
def cancelled_with_us(folder: Path) -> Iterator[None]:
    """Cancel the study's jobs where what is done meanwhile is interrupted."""
    try:
        yield
    except BaseException:
        cancel(folder)
        raise


def telling(running: Mapping[str, str]) -> dict[str, str]:
    """The environment variable that tells the workflow what :func:`take_over` found."""
    return {_RUNNING: json.dumps(running)}


def running_before() -> dict[str, str]:
    """Numbers of SLURM's jobs of an earlier start by rule, as told to this process."""
    return json.loads(os.environ.get(_RUNNING, "{}"))


def reasons(engine_log: Path) -> dict[str, str]:
    """Why SLURM refused or ended jobs, by rule, as far as Snakemake was told.

    Args:
        engine_log: What Snakemake printed.
    """
    text = engine_log.read_text(encoding="utf-8", errors="replace") if engine_log.exists() else ""
    found = {}
    for rule, message in _ERROR.findall(text):
        state, refusal = _STATE.search(message), _REFUSAL.search(message)
        if state and state[1] in _MEANINGS:
            found[rule] = _MEANINGS[state[1]].format(stage=rule.partition("_")[0])
        elif refusal:
            found[rule] = "SLURM refused it: " + " ".join(refusal[1].replace("sbatch: error: ", "").split())
    return found


class Waiting:
    """What the study's jobs wait for in the queue, asked every half a minute.

    Args:
        folder: The study's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked = -math.inf
        self._answer = ""

    def look(self) -> str:
        """Why jobs wait, in SLURM's words; empty if none does or SLURM does not answer."""
        if time.monotonic() - self._asked > _ASK_EVERY_S:
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
    """The study's jobs that have not ended."""
    ended = _run("squeue", "--noheader", "--user", getpass.getuser(), "--format", "%A|%T|%j|%r|%k")
    if ended.returncode:
        msg = f"SLURM does not answer: {ended.stderr.strip()}"
        raise FemurError(msg)
    rows = (_Row(*line.strip().split("|", 4)) for line in ended.stdout.splitlines() if line.count("|") >= 4)
    ours = [row for row in rows if row.name.startswith(name_of(folder)) and row.state not in _ENDED]
    return [row._replace(rule=row.rule.removeprefix("rule_")) for row in ours]


def _cancel(numbers: list[str]) -> None:
    if numbers:
        _run("scancel", *numbers)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, check=False, text=True, capture_output=True, timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        msg = f"SLURM does not answer: {command[0]} took more than {_PATIENCE_S} s."
        raise FemurError(msg) from None
    except FileNotFoundError:
        msg = f"There is no {command[0]} here. Start the study where SLURM's commands are, most often on a login node."
        raise SetupError(msg) from None
