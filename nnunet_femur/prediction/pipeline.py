"""Cases of a batch side by side: while the network works on one, the next is read and the one before is checked."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Item = TypeVar("Item")
Read = TypeVar("Read")
Found = TypeVar("Found")
Result = TypeVar("Result")
Item_contra = TypeVar("Item_contra", contravariant=True)

_RESERVE_BYTES = 2 << 30
"""Memory that must stay free for the network, beside the case that is read ahead."""

_OUT_OF_MEMORY = (
    "DefaultCPUAllocator: can't allocate memory",
    "MPS backend out of memory",
    "Failed to allocate memory for image",
)
"""Parts of messages about memory: PyTorch's on processors and on Apple's GPUs, and ITK's."""

_CGROUP = Path("/sys/fs/cgroup")
"""Folder with the memory limit of a container (version 2)."""


class Work(Protocol[Item_contra, Read, Found, Result]):
    """The work on a case of a batch, in three parts: read, find, finish."""

    def begin(self, item: Item_contra) -> None:
        """Take note of the next case. This method, `find` and `settle` are called in the caller's thread."""

    def read(self, item: Item_contra) -> Read:
        """Return what :meth:`find` needs of a case; called in any thread."""

    def find(self, item: Item_contra, read: Read) -> Found:
        """Return the mask of a case."""

    def finish(self, item: Item_contra, found: Found) -> Result:
        """Check what was found, and write it; called in any thread. Doing it twice must give the same."""

    def room_bytes(self, read: Read) -> int:
        """Return the memory that reading another case needs, estimated from what was read of this one."""

    def settle(self, item: Item_contra, outcome: Future[Result]) -> None:
        """Take the outcome of a case, in the order of the cases: its result, or the exception of any part."""


class Pipeline(Generic[Item, Read, Found, Result]):
    """Finds the mask of each case, while the case before is finished and the next one is read.

    A case that fails does not stop the others. At most three cases are in memory. If memory is short, the next case is
    read only after this one. If it is exhausted, the case is repeated alone, and the others follow one by one.

    Args:
        work: The work on a case.
        side_by_side: False to work on one case after the other.

    Example:
        >>> class Negative:
        ...     def begin(self, item):
        ...         print("begin", item)
        ...
        ...     def read(self, item):
        ...         return int(item)
        ...
        ...     def find(self, item, read):
        ...         return -read
        ...
        ...     def finish(self, item, found):
        ...         return f"{item} becomes {found}"
        ...
        ...     def room_bytes(self, read):
        ...         return 8
        ...
        ...     def settle(self, item, outcome):
        ...         print(outcome.result())
        >>> Pipeline(Negative()).run(["1"])
        begin 1
        1 becomes -1
    """

    def __init__(self, work: Work[Item, Read, Found, Result], *, side_by_side: bool = True) -> None:
        self._work = work
        self._side_by_side = side_by_side
        self._ahead: Future[Read] | None = None
        self._behind: tuple[Item, Found, Future[Result]] | None = None

    def run(self, items: Iterable[Item]) -> None:
        """Work on all cases. An exception that is not an Exception, such as KeyboardInterrupt, ends the run.

        Args:
            items: The cases.
        """
        waiting: deque[Item] = deque(items)
        with ThreadPoolExecutor(1, "read-ahead") as reader, ThreadPoolExecutor(1, "finish") as finisher:
            try:
                while waiting:
                    self._pass(waiting.popleft(), waiting, reader, finisher)
            finally:
                reader.shutdown(wait=False, cancel_futures=True)
                self._settle_behind()

    def _pass(self, item: Item, waiting: deque[Item], reader: Executor, finisher: Executor) -> None:
        """Pass a case through its parts."""
        self._work.begin(item)
        accompanied = self._ahead is not None or self._behind is not None
        try:
            found = self._read_and_find(item, waiting, reader)
        except Exception as error:  # noqa: BLE001 - belongs to its case
            self._settle_behind()
            if not is_out_of_memory(error) or not (accompanied or self._ahead):
                self._work.settle(item, _failed(error))
                return
            self._side_by_side = False
            if self._ahead is not None and not self._ahead.cancel():
                self._ahead.exception()
        else:
            self._settle_behind()
            if waiting and self._side_by_side:
                self._behind = item, found, finisher.submit(self._work.finish, item, found)
            else:
                self._work.settle(item, _outcome(partial(self._work.finish, item, found)))
            return
        # Outside of the handler, whose exception keeps what was read. The next case is read again, too.
        self._ahead = None
        self._work.settle(item, _outcome(partial(self._all_parts, item)))

    def _read_and_find(self, item: Item, waiting: deque[Item], reader: Executor) -> Found:
        """Return the mask of a case, and start to read the next one if there is room."""
        reading, self._ahead = self._ahead, None
        read = self._work.read(item) if reading is None else reading.result()
        if waiting and self._has_room(read):
            self._ahead = reader.submit(self._work.read, waiting[0])
        return self._work.find(item, read)

    def poll(self) -> None:
        """Settle the case before, if it is finished; ``find`` may call this as often as it likes.

        A case whose memory was not enough is repeated after ``find``.
        """
        if self._behind is None or not self._behind[2].done():
            return
        error = self._behind[2].exception()
        if error is None or not is_out_of_memory(error):
            self._settle_behind()

    def _settle_behind(self) -> None:
        """Wait for the end of the case before, and settle it."""
        if self._behind is None:
            return
        (item, found, outcome), self._behind = self._behind, None
        error = outcome.exception()
        if error is not None and is_out_of_memory(error):
            self._side_by_side = False
            # The exception keeps what was computed.
            del error, outcome
            outcome = _outcome(partial(self._work.finish, item, found))
        self._work.settle(item, outcome)

    def _has_room(self, read: Read) -> bool:
        return self._side_by_side and available_bytes() > _RESERVE_BYTES + self._work.room_bytes(read)

    def _all_parts(self, item: Item) -> Result:
        return self._work.finish(item, self._work.find(item, self._work.read(item)))


def _outcome(work: Callable[[], Result]) -> Future[Result]:
    """Do some work at once; its outcome returns or raises what the work did."""
    done: Future[Result] = Future()
    try:
        done.set_result(work())
    except Exception as error:  # noqa: BLE001 - belongs to its case
        done.set_exception(error)
    return done


def _failed(error: Exception) -> Future[Result]:
    failed: Future[Result] = Future()
    failed.set_exception(error)
    return failed


def is_out_of_memory(error: BaseException) -> bool:
    """Return True for the exceptions by which Python, numpy, PyTorch and ITK report that memory is exhausted.

    An error that was raised from one of these counts, too.

    Example:
        >>> is_out_of_memory(MemoryError())
        True
    """
    if error.__cause__ is not None and is_out_of_memory(error.__cause__):
        return True
    if not isinstance(error, RuntimeError):
        return isinstance(error, MemoryError)
    # PyTorch's on processors has no class of its own; the name of that on graphics cards spares the import of PyTorch.
    return type(error).__name__ == "OutOfMemoryError" or any(text in str(error) for text in _OUT_OF_MEMORY)


def available_bytes() -> int:
    """Return the memory in bytes that is free on this machine, and in its container if it has a limit.

    Example:
        >>> available_bytes() > 0
        True
    """
    import psutil

    available = int(psutil.virtual_memory().available)
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
        counted = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        # Files that were read count as used, but are given back on demand.
        return min(available, limit - used + int(counted["inactive_file"]))
    except (OSError, ValueError, KeyError):
        return available
