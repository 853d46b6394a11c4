"""Unpack zip archives safely: no file of an archive is written outside the folder that it is unpacked to."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.progress import SILENT, Progress, track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BLOCK = 1 << 20
"""Bytes that are copied at a time."""


def archive_files(path: Path) -> list[PurePosixPath]:
    """Return the files in a zip archive, without folders.

    Args:
        path: The archive.

    Raises:
        InputError: The file is missing or not a zip archive (code "unreadable"), or the archive contains a link or a
            path that leads out of it (code "unsafe-archive").
    """
    with _opened(path) as archive:
        return [_inside(member) for member in _members(path, archive)]


def unpack(
    path: Path,
    folder: Path,
    *,
    place: Callable[[PurePosixPath], PurePosixPath | None] = lambda file: file,
    progress: Progress = SILENT,
) -> list[Path]:
    """Unpack files of a zip archive; nothing is written unless all paths in it are safe and the space suffices.

    Args:
        path: The archive.
        folder: Folder to unpack to; it must exist.
        place: Maps a path in the archive to one below `folder`, or to None for a file that is not needed.
        progress: Receives the progress.

    Returns:
        The written files.

    Raises:
        InputError: The archive is missing, damaged or encrypted (code "unreadable"), or contains a link or a path that
            leads out of it (code "unsafe-archive").
        SetupError: The disk has too little space (code "cannot-write").

    Example:
        >>> import zipfile
        >>> with zipfile.ZipFile("archive.zip", "w") as archive:
        ...     archive.writestr("archived/plans.json", "{}")
        ...     archive.writestr("archived/notes.txt", "")
        >>> unpack(Path("archive.zip"), Path(), place=lambda file: file if file.suffix == ".json" else None)
        [PosixPath('archived/plans.json')]
    """
    with _opened(path) as archive:
        chosen = [(member, where) for member in _members(path, archive) if (where := place(_inside(member)))]
        _require_space(path, sum(member.file_size for member, _ in chosen), folder)
        written = []
        for member, where in track(chosen, f"Unpack {path.name}", progress=progress):
            target = folder / where
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, _BLOCK)
            written.append(target)
        return written


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    if not path.is_file():
        msg = f"{path}: not found. Check the path."
        raise InputError(msg, code="not-found")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        msg = f"{path}: cannot be read as a zip archive ({error}). Download, export or copy it again."
        raise InputError(msg, code="unreadable") from error
    try:
        with archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        msg = f"{path}: damaged or encrypted ({error}). Download, export or copy it again."
        raise InputError(msg, code="unreadable") from error


def _members(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    for member in archive.infolist():
        if leads_out(member):
            msg = f"{path}: contains {member.filename!r}, a link or a path that leads out of it. Do not use this file."
            raise InputError(msg, code="unsafe-archive")
    return [member for member in archive.infolist() if not member.is_dir()]


def leads_out(member: zipfile.ZipInfo) -> bool:
    """Return True if a file of a zip archive is a link, or has a path that leads out of where it is unpacked.

    Paths of POSIX and of Windows count on every platform, so that an archive is safe or unsafe wherever it is opened.
    """
    posix, windows = PurePosixPath(member.filename), PureWindowsPath(member.filename)
    drive = windows.drive or any(":" in part for part in windows.parts[:1])
    outside = posix.is_absolute() or drive or windows.root or ".." in {*posix.parts, *windows.parts}
    return bool(outside) or stat.S_ISLNK(member.external_attr >> 16)


def _inside(member: zipfile.ZipInfo) -> PurePosixPath:
    # Archives made on Windows may separate folders by backslashes.
    return PurePosixPath(member.filename.replace("\\", "/"))


def _require_space(path: Path, needed: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        msg = (
            f"{path}: unpacks to {needed / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free in {folder}. "
            "Free some space, or use another disk (TMPDIR for models to predict with)."
        )
        raise SetupError(msg, code="cannot-write")
