"""Other programs: started, listened to, and ended with this one."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


_PATIENCE_S = 5


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a command whose output, errors included, is read line by line from its ``stdout``; then wait for its end.

    It is ended where this process stops listening, and on Linux also where this process is killed.
    """
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        preexec_fn=die_with_parent if sys.platform != "win32" else None,  # noqa: PLW1509
    ) as process:
        try:
            yield process
        except BaseException:
            _end(process)
            raise


def _end(process: subprocess.Popen[str]) -> None:
    """End a process: by its own will, or without it if it would first wait for what it has started."""
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()


def die_with_parent() -> None:
    """Let this process end when its parent is killed, or it would go on writing where the next run resumes.

    Linux only; elsewhere nothing happens.
    """
    if sys.platform != "linux":
        return
    import ctypes

    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def peak_memory_mib(*, of_children: bool = False) -> int | None:
    """Largest resident memory so far in MiB; None on Windows, which does not tell.

    Args:
        of_children: That of any process that this one has started and that has ended, instead of its own.
    """
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_CHILDREN if of_children else resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 2**20) if sys.platform == "darwin" else round(peak / 2**10)
