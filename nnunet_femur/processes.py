"""Work in other processes: programs that end with this process, and the same function for many items."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


_PATIENCE_S = 5
"""Seconds in which a program can end by itself before it is killed."""


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a command; read its output, including errors, from its ``stdout`` line by line, and wait for its end.

    The command is ended if the block raises an exception, and on Linux also if this process is killed. Programs in
    Python write UTF-8.
    """
    with subprocess.Popen(
        command,
        env={"PYTHONIOENCODING": "utf-8", **environment},
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
    """Ask a process to end, and kill it if it does not, for example because it waits for its own processes.

    On Windows its own processes are ended too: without signals it cannot end them itself.
    """
    if sys.platform == "win32":
        _end_children(process.pid)
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _end_children(number: int) -> None:
    """End all processes that a process has started, directly or indirectly."""
    import psutil

    with suppress(psutil.Error):
        for child in psutil.Process(number).children(recursive=True):
            with suppress(psutil.Error):
                child.terminate()


def shell_command(command: Sequence[str]) -> str:
    """Return a command as one line for a shell: cmd.exe on Windows, else a POSIX shell, which the command replaces.

    Args:
        command: The program and its arguments.
    """
    if sys.platform == "win32":
        # In double quotes, cmd.exe takes & and other special characters literally. No path contains a double quote.
        return " ".join(each if '"' in each else f'"{each}"' for each in map(_quoted_for_windows, command))
    return f"exec {shlex.join(command)}"


def _quoted_for_windows(text: str) -> str:
    return subprocess.list2cmdline([text])


def die_with_parent() -> None:
    """End this process when its parent is killed. Otherwise it would write to files of the next run.

    On other systems than Linux nothing happens.
    """
    if sys.platform != "linux":
        return
    import ctypes

    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def peak_memory_mib(*, of_children: bool = False) -> int | None:
    """Return the largest resident memory so far in MiB; None on Windows, where it is unknown.

    Args:
        of_children: Return the memory of the largest child process that has ended, instead of this process.
    """
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_CHILDREN if of_children else resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 2**20) if sys.platform == "darwin" else round(peak / 2**10)


T = TypeVar("T")
R = TypeVar("R")


def each(
    work: Callable[[T], R], items: Sequence[T], *, jobs: int = 1, crashed: Callable[[T], R]
) -> Iterator[tuple[int, R]]:
    """Yield the number of each item and the result of `work` for it, in the order in which they finish.

    With one job, all work is done in this process. With several, each process has one item at a time, so the memory is
    at most that of the `jobs` largest items.

    Args:
        work: A function that can be pickled.
        items: Its arguments, which can be pickled too.
        jobs: Number of processes.
        crashed: Returns the result of an item whose process ended unexpectedly.

    Example:
        >>> dict(each(len, ["a", "bcd"], crashed=lambda item: -1))
        {0: 1, 1: 3}
    """
    if jobs == 1 or len(items) < 2:
        for number, item in enumerate(items):
            yield number, work(item)
        return
    suspects: list[int] = []
    with _Pool(jobs) as pool:
        futures = {pool.submit(work, item): number for number, item in enumerate(items)}
        for future in as_completed(futures):
            try:
                result = future.result()
            except BrokenProcessPool:
                # One of the running items ended its process, and the executor gave up all waiting items.
                suspects.append(futures[future])
                continue
            yield futures[future], result
    for number in sorted(suspects):
        yield number, _alone(work, items[number], crashed)


def _alone(work: Callable[[T], R], item: T, crashed: Callable[[T], R]) -> R:
    with _Pool(1) as pool:
        try:
            return pool.submit(work, item).result()
        except BrokenProcessPool:
            return crashed(item)


class _Pool(ProcessPoolExecutor):
    """Fresh processes that share the CPU's threads evenly, and end with this process."""

    def __init__(self, jobs: int) -> None:
        import multiprocessing

        # A fork of a process in which ITK has started threads can hang.
        context = multiprocessing.get_context("spawn")
        threads = max(1, (os.cpu_count() or 1) // jobs)
        super().__init__(jobs, mp_context=context, initializer=_prepare, initargs=(threads,))

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """End the processes at once after an exception, without waiting for their results."""
        if kind is not None:
            processes = list((self._processes or {}).values())
            self.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
        self.shutdown(wait=True, cancel_futures=True)


def _prepare(threads: int) -> None:
    """Set up a fresh process of a pool."""
    import multiprocessing
    import signal
    from threading import Thread

    import SimpleITK as sitk

    # Ctrl-C reaches all processes of the group; the first process ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    # ITK's warnings quote file headers.
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # noqa: FBT003
    parent = multiprocessing.parent_process()
    if parent is not None:
        # After kill -9 of the first process this one would go on, and write to files of the next run.
        Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: object) -> None:
    parent.join()  # type: ignore[attr-defined]
    os._exit(1)
