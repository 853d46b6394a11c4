"""The user's own TotalSegmentator: found on PATH behind our launcher, and run as a program."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from nnunet_femur.processes import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

PROGRAM = "TotalSegmentator"
"""Name of the stock program, and of our launcher."""

LAUNCHER_MARK = b"nnunet_femur launcher"
"""A text near the beginning of every launcher of ours, by which one of another installation is known too."""

_PATIENCE_S = 5


class Stopped(KeyboardInterrupt):
    """The process was told to end.

    Attributes:
        status: Exit status that a shell expects of it.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.status = 128 + number


def find_stock() -> list[str]:
    """Return the beginning of a command that starts the stock TotalSegmentator.

    The first program of its name on PATH that is not a launcher of ours, so that it is the one that the user would
    start without us. Where PATH has none, as after ``uv run nnfemur env``, the one of this Python.
    """
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    for folder in [*folders, sysconfig.get_path("scripts")]:
        found = shutil.which(PROGRAM, path=folder or os.curdir)
        if found and not _is_launcher(Path(found)):
            return [os.path.abspath(found)]  # noqa: PTH100  # a link stays a link: its name finds its Python
    return [sys.executable, "-P", "-m", "totalsegmentator.bin.TotalSegmentator"]


def _is_launcher(program: Path) -> bool:
    try:
        with program.open("rb") as file:
            return LAUNCHER_MARK in file.read(1024)
    except OSError:
        return False


def become_stock(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by the stock program.

    Args:
        arguments: Its arguments.
    """
    command = [*find_stock(), *arguments]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)  # noqa: S606


def run_stock(arguments: Sequence[str]) -> int:
    """Run the stock program in the same terminal, and return its exit status as a shell would.

    Args:
        arguments: Its arguments.

    Raises:
        Stopped: This process was told to end; the stock program has ended by then.
    """
    with subprocess.Popen(
        [*find_stock(), *arguments],
        preexec_fn=die_with_parent if sys.platform != "win32" else None,  # noqa: PLW1509
    ) as process:
        try:
            status = process.wait()
        except KeyboardInterrupt as reason:
            _end(process, told=not isinstance(reason, Stopped))
            raise
    return status if status >= 0 else 128 - status


def _end(process: subprocess.Popen[bytes], *, told: bool) -> None:
    """Let a process clean up and end; end it if it does not.

    Args:
        process: The process.
        told: The terminal has told it to end, as it tells all programs in it at Ctrl-C.
    """
    # An interrupt comes first, since at SIGTERM Python programs leave their temporary files behind.
    signals = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM))
    for step, number in enumerate(signals):
        if step or not told:
            process.send_signal(number)
        try:
            process.wait(_PATIENCE_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            continue
        return


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Let the signals that end a process raise :class:`Stopped`, so that temporary files are removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise Stopped(number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # What is ignored stays so, as SIGHUP under nohup.
    before = {
        number: handler for number in numbers if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None)
    }
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
