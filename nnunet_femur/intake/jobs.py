"""Do the same work for many cases, in this process or in several; a case that kills its process stops no other."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
