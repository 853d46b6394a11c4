"""Ends a process without a chance to clean up, as a power cut or a queueing system does."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def kill_once(
    reached: Callable[[], object],
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    within_s: float = 120,
) -> None:
    """Start a command, silently, and kill it as soon as a point is reached, that it must reach before it ends."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + within_s
            while not reached():
                assert process.poll() is None, "the process ended before it could be killed"
                assert time.monotonic() < until, f"nothing to be killed at within {within_s} s"
                time.sleep(0.02)
        finally:
            process.send_signal(signal.SIGKILL)
