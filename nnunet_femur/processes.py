"""Work in other processes: programs that end with this one, and the same work for many cases."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


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


T = TypeVar("T")
R = TypeVar("R")


def each(
    work: Callable[[T], R], items: Sequence[T], *, jobs: int = 1, crashed: Callable[[T], R]
) -> Iterator[tuple[int, R]]:
    """Yield the number of each item and what `work` makes of it, as they are done.

    With one job everything happens in this process. With more, no process holds more than one item at a time, so
    memory is bounded by that of the `jobs` largest items.

    Args:
        work: A function that can be pickled.
        items: What it is called with; these can be pickled too.
        jobs: Number of processes.
        crashed: What stands for the result of an item whose process died of it.
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
                # One of those in work killed its process, and all that waited are given up with it.
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
    """Processes that start fresh, ask nobody for threads they should leave to others, and end with this one."""

    def __init__(self, jobs: int) -> None:
        import multiprocessing

        # Forking a process in which ITK has started threads can hang it.
        context = multiprocessing.get_context("spawn")
        threads = max(1, (os.cpu_count() or 1) // jobs)
        super().__init__(jobs, mp_context=context, initializer=_prepare, initargs=(threads,))

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Do not wait for work that nobody wants any more."""
        if kind is not None:
            processes = list((self._processes or {}).values())
            self.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
        self.shutdown(wait=True, cancel_futures=True)


def _prepare(threads: int) -> None:
    """Set up a fresh process."""
    import multiprocessing
    import signal
    from threading import Thread

    import SimpleITK as sitk

    # Ctrl-C reaches the whole group; the first process ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    # ITK's warnings quote file headers.
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # noqa: FBT003
    parent = multiprocessing.parent_process()
    if parent is not None:
        # After kill -9 of the first process nobody would end this one, and it would write into the next run.
        Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: object) -> None:
    parent.join()  # type: ignore[attr-defined]
    os._exit(1)
