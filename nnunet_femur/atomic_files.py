"""Write files and folders atomically: after any failure they are complete, or absent."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import re
import sys
import time
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import InputError, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator


def cannot_write(path: Path, error: Exception) -> SetupError:
    """Return the error about a file that cannot be written, with the reason in another error's message."""
    reason = getattr(error, "strerror", None) or str(error).strip().rpartition("\n")[2]
    msg = f"{path}: cannot be written ({reason}). Check the folder and the space on the disk."
    return SetupError(msg, code="cannot-write")


def make_folder(folder: Path) -> None:
    """Create a folder to write to, with the folders above it, unless it exists.

    Args:
        folder: The folder.

    Raises:
        SetupError: It cannot be created (code "cannot-write").

    Example:
        >>> make_folder(Path("out/masks"))
        >>> Path("out/masks").is_dir()
        True
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{folder}: cannot be created ({error.strerror}). Choose another folder."
        raise SetupError(msg, code="cannot-write") from error


@contextmanager
def written_beside(path: Path, *, ending: str | None = None, durable: bool = True) -> Iterator[Path]:
    """Yield a hidden path beside `path` to write to; rename it to `path` at the end unless there was an exception.

    The hidden name is unique to this process and call, so several writers do not collide: the last one to end wins.
    First, files that killed processes left in the folder are removed, see :func:`remove_leftovers`.

    Args:
        path: The file to write; its folder must exist.
        ending: The ending that the hidden path keeps, because many writers choose the format by it. Default: the last
            suffix.
        durable: Wait until the file and its name are on the disk, so that they survive a power failure. Without it,
            the file is complete or absent after a crash of the process, but not necessarily after one of the machine.

    Example:
        >>> with written_beside(Path("notes.txt")) as partial:
        ...     _ = partial.write_text("complete")
        ...     Path("notes.txt").exists()
        False
        >>> Path("notes.txt").read_text()
        'complete'
        >>> Path("notes.txt").unlink()
    """
    kept = path.suffix if ending is None else ending
    stem = path.name[: len(path.name) - len(kept)]
    remove_leftovers(path.parent)
    partial = path.with_name(_partial_name(stem, kept))
    try:
        yield partial
        if durable:
            _flush(partial)
        rename(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if durable:
        _flush_folder(path.parent)
    _remove_fixed_name(path, stem, kept)


_PATIENCE_S = 3.0
"""Seconds in which other programs can close a file before its renaming fails on Windows."""


def rename(old: Path, new: Path) -> None:
    """Rename a file or a folder; a file replaces an existing file.

    Windows refuses this while a program, such as a virus scanner, has the file or a file of the folder open. There it
    is tried again for some seconds.

    Args:
        old: The file or folder.
        new: Its new path, on the same disk; for a folder it must be free.

    Example:
        >>> _ = Path("draft.txt").write_text("complete")
        >>> rename(Path("draft.txt"), Path("final.txt"))
        >>> Path("final.txt").read_text()
        'complete'
        >>> Path("final.txt").unlink()
    """
    deadline = time.monotonic() + (_PATIENCE_S if sys.platform == "win32" else 0)
    while True:
        try:
            old.replace(new)
        except PermissionError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)
        else:
            return


_LONGEST_NAME = 255
"""Largest number of bytes in a file name on most file systems."""

_PARTIAL = re.compile(r"\..*\.(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-\d+\.partial(?:\.[^/]*)?")
_LEFTOVER_AGE_S = 24 * 3600
_numbers = itertools.count()
_looked_at: set[tuple[int, Path]] = set()


def _partial_name(stem: str, kept: str) -> str:
    name = f".{stem}.{_machine()}-{os.getpid()}-{next(_numbers)}.partial{kept}"
    if len(os.fsencode(name)) <= _LONGEST_NAME:
        return name
    return _partial_name(hashlib.sha256(os.fsencode(stem)).hexdigest()[:16], kept)


@cache
def _machine() -> str:
    """Return an identifier of the machine and, on Linux, of the container, within which process ids are unique."""
    import platform

    try:
        numbering = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        numbering = ""
    return hashlib.sha256(f"{platform.node()} {numbering}".encode()).hexdigest()[:8]


def remove_leftovers(folder: Path) -> None:
    """Remove files that killed processes left of :func:`written_beside` in a folder, once per process and folder.

    These are files of processes of this machine that have ended, and any such file older than a day, because processes
    of other machines are not visible.
    """
    if (os.getpid(), folder) in _looked_at:
        return
    _looked_at.add((os.getpid(), folder))
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _PARTIAL.fullmatch(entry.name)
            if match and entry.is_file(follow_symlinks=False) and (_has_ended(match) or _is_old(entry.path)):
                with suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108 - of a directory entry


def _has_ended(match: re.Match[str]) -> bool:
    if match["machine"] != _machine():
        return False
    import psutil

    return not psutil.pid_exists(int(match["process"]))


def _is_old(path: str | Path) -> bool:
    try:
        return time.time() - os.stat(path).st_mtime > _LEFTOVER_AGE_S  # noqa: PTH116 - of a directory entry
    except OSError:
        return False


def _remove_fixed_name(path: Path, stem: str, kept: str) -> None:
    """Remove the file that a killed process of an earlier version left, under a fixed name."""
    fixed = path.with_name(f".{stem}.partial{kept}")
    if _is_old(fixed) and fixed.is_file() and not fixed.is_symlink():
        with suppress(OSError):
            fixed.unlink()


_FLUSHED_AT_ONCE = 16

_CANNOT_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}
"""Errors of file systems that do not support flushing."""


def _flush(file: Path) -> None:
    """Wait until a file is on the disk."""
    # Windows flushes only files that are open for writing.
    descriptor = os.open(file, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise
    finally:
        os.close(descriptor)


def _flush_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk. Windows has no such call, and writes them itself."""
    if os.name == "nt":
        return
    try:
        _flush(folder)
    except PermissionError:
        # A folder that can be written to but not listed cannot be opened.
        return


def start_flush(path: Path) -> None:
    """Start to flush a file to the disk in the background, which shortens a later :func:`flush_tree`."""
    from threading import Thread

    def flush() -> None:
        """Flush the file and ignore errors, which flush_tree raises for its final name."""
        with suppress(OSError):
            _flush(path)

    Thread(target=flush, daemon=True).start()


def flush_tree(folder: Path) -> None:
    """Wait until all files below a folder, and their names, are on the disk."""
    from concurrent.futures import ThreadPoolExecutor

    paths = [path for path in sorted(folder.rglob("*")) if not path.is_symlink()]
    # In parallel, because disks handle several flushes at once.
    with ThreadPoolExecutor(_FLUSHED_AT_ONCE) as threads:
        list(threads.map(_flush, (path for path in paths if path.is_file())))
    for each in (*(path for path in paths if path.is_dir()), folder):
        _flush_folder(each)


def rename_flushed(folder: Path, target: Path) -> None:
    """Rename a finished folder after all of it is on the disk, so the new name never refers to an incomplete folder.

    Args:
        folder: The folder.
        target: Its new path, which must be free and on the same disk.
    """
    flush_tree(folder)
    rename(folder, target)
    _flush_folder(target.parent)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write UTF-8 text to a file atomically, with the same line ends on every platform.

    Args:
        path: The file; its folder must exist.
        text: The content.
        durable: As for :func:`written_beside`.
    """
    with written_beside(path, durable=durable) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any, *, durable: bool = True) -> None:
    """Write `content` to a file atomically, as indented JSON; `durable` as for :func:`written_beside`."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    if not is_utf8(text):
        # The name of a file may not be UTF-8. Escaped, it can be written and read back.
        text = json.dumps(content, indent=2)
    write_text(path, text + "\n", durable=durable)


def is_utf8(text: str) -> bool:
    """Return True unless a text contains bytes of a file name that are not UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def require_utf8_name(path: Path) -> None:
    """Refuse a path that is not UTF-8, because SimpleITK would end the whole process.

    Raises:
        InputError: The path is not UTF-8 ("invalid-name").
    """
    if not is_utf8(str(path)):
        msg = f"{str(path)!a}: the name is not UTF-8. Rename it."
        raise InputError(msg, code="invalid-name")
