"""Steps that run in chunks of limited time: each call does as much as fits, and the next call goes on.

A step is a command. Its state is in ``state.json`` of a folder, its output in ``logs/``. A resumable step is
interrupted at the end of a chunk and started again by the next call. Another step is only started if it is expected to
fit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

from nnunet_femur.atomic_files import write_json
from nnunet_femur.processes import die_with_parent
from nnunet_femur.records import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

DONE, AGAIN, FAILED = 0, 75, 1
"""Exit statuses: everything is done; call again; a step failed, and everything else is done."""

ATTEMPTS = 2
"""Runs after which a failing step is given up."""

GRACE_S = 20
"""Seconds in which an interrupted command can end by itself."""

SMALLEST_S = 30
"""Seconds below which no step is started."""


@dataclass(frozen=True)
class Step:
    """One command of a run.

    Attributes:
        name: Its name, unique in the run.
        command: The command and its arguments. A step whose command changes is due again.
        expected_s: Expected duration in seconds; of a resumable step, the time below which a start is not worth it.
        resumable: True if the command goes on where it was interrupted.
        after: Names of steps that must be done before.
    """

    name: str
    command: tuple[str, ...]
    expected_s: float = SMALLEST_S
    resumable: bool = False
    after: tuple[str, ...] = ()


class Chunks:
    """Runs the steps that are due, as many as fit into one chunk.

    Args:
        folder: Folder of the state and the logs.
        seconds: Length of a chunk, in which everything ends that this call starts.
        say: Receives a line for each event.
    """

    def __init__(self, folder: Path, seconds: float, *, say: Callable[[str], None] = print) -> None:
        self.folder = folder
        self.seconds = seconds
        self.say = say
        self._end = time.monotonic() + seconds - GRACE_S
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        self.state: dict[str, dict[str, Any]] = read_json(self._file) or {}

    @property
    def _file(self) -> Path:
        return self.folder / "state.json"

    @property
    def left_s(self) -> float:
        """Seconds of this chunk in which a command may still run."""
        return self._end - time.monotonic()

    def forget_failures(self) -> None:
        """Make steps due again that failed."""
        for entry in self.state.values():
            if entry["status"] == "failed":
                entry.update(status="due", failures=0)

    def run(self, steps: Sequence[Step]) -> int:
        """Run steps in their order until the chunk or the steps end.

        Returns:
            :data:`DONE`, :data:`AGAIN` or :data:`FAILED`.
        """
        for step in steps:
            if self._status(step) == "done":
                continue
            before = [self._found(name) for name in step.after]
            if "failed" in before or self.state[step.name]["failures"] >= ATTEMPTS:
                self._note(step, "failed")
                continue
            if "due" in before:
                continue
            if not self._fits(step):
                self.say(f"{step.name}: in the next chunk")
                return AGAIN
            if self._run(step) == "interrupted":
                return AGAIN
        found = [self._found(step.name) for step in steps]
        return AGAIN if "due" in found else FAILED if "failed" in found else DONE

    def _found(self, name: str) -> str:
        status: str = self.state.get(name, {}).get("status", "due")
        return status

    def _status(self, step: Step) -> str:
        if self.state.get(step.name, {}).get("command") != list(step.command):
            self.state[step.name] = {"command": list(step.command), "status": "due", "seconds": 0.0, "failures": 0}
        return self._found(step.name)

    def _fits(self, step: Step) -> bool:
        # A step that is longer than a chunk still gets a whole one.
        return self.left_s >= min(max(step.expected_s, SMALLEST_S), 0.9 * (self.seconds - GRACE_S))

    def _note(self, step: Step, status: str, **changes: Any) -> None:
        self.state[step.name] |= {"status": status, **changes}
        write_json(self._file, self.state)

    def _log(self, step: Step) -> Path:
        return self.folder / "logs" / f"{step.name}.log"

    def _run(self, step: Step) -> str:
        """Run a step until it ends or the chunk does; return "done", "failed" or "interrupted"."""
        self.say(f"{step.name}: started")
        entry, start, whole = self.state[step.name], time.monotonic(), self.left_s
        with self._log(step).open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(step.command)}\n")
            log.flush()
            process = subprocess.Popen(
                step.command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent if os.name == "posix" else None,  # noqa: PLW1509
            )
            try:
                status = process.wait(max(1.0, self.left_s))
            except subprocess.TimeoutExpired:
                status = None
            finally:
                end(process)
        seconds = entry["seconds"] + time.monotonic() - start
        if status == 0:
            self._note(step, "done", seconds=seconds)
            self.say(f"{step.name}: done in {seconds:.0f} s")
            return "done"
        failures = entry["failures"]
        if status is None and (step.resumable or whole < 0.9 * (self.seconds - GRACE_S)):
            self._note(step, "due", seconds=seconds)
            self.say(f"{step.name}: goes on in the next chunk ({seconds:.0f} s so far)")
            return "interrupted"
        reason = "longer than a chunk" if status is None else f"exit status {status}"
        failures += 1
        self._note(step, "failed" if failures >= ATTEMPTS else "due", seconds=seconds, failures=failures, reason=reason)
        self.say(f"{step.name}: {reason}, see {self._log(step)}")
        return "interrupted" if status is None else "failed"


def end(process: subprocess.Popen) -> None:
    """End a process and all its descendants: by an interrupt, after :data:`GRACE_S` by force."""
    if process.poll() is not None:
        return
    family = [psutil.Process(process.pid)]
    with suppress(psutil.Error):
        family += family[0].children(recursive=True)
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(0.75 * GRACE_S)
    for each in family:
        with suppress(psutil.Error):
            each.kill()
    psutil.wait_procs(family, timeout=0.25 * GRACE_S)
    process.poll()
