"""Kill a process without a chance to clean up, as a power failure or a queueing system does."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_INTERVAL_S = 0.02


def kill_once(
    reached: Callable[[], object],
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    within_s: float = 120,
) -> None:
    """Start a command and kill it as soon as a condition is true.

    Args:
        reached: The condition, which must become true before the command ends.
        command: The command; its output is discarded.
        environment: Environment variables of the command; None: those of this process.
        within_s: Seconds to wait for the condition before the test fails.
    """
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(round(within_s / _INTERVAL_S)):
                if reached():
                    return
                assert process.poll() is None, "the process ended before it could be killed"
                time.sleep(_INTERVAL_S)
            pytest.fail("the condition did not become true")
        finally:
            process.send_signal(signal.SIGKILL)
