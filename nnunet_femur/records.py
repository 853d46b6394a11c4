"""Records of results: read, locked, and compared with what would be made now.

:class:`Provenance` is the one answer to "is it up to date?": the same settings, the same inputs, and the files still as
they were written. Conversion, planning, prediction, baseline, study, scores and figures all ask it.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import InputError, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Provenance:
    """The settings and inputs that a result was made from, and its files.

    Attributes:
        settings: Everything besides the inputs that decides about the result, as JSON content or its
            :func:`fingerprint`.
        inputs: State of the inputs, as JSON content: checksums, or what :func:`file_state` returns.
        outputs: The files of the result, relative to its folder: their sizes in bytes (int) or their SHA-256 (str).

    Example:
        >>> made = Provenance(settings={"step_size": 0.5}, inputs={"ct": "3f2a"})
        >>> made.is_current(settings={"step_size": 0.5}, inputs={"ct": "3f2a"})
        True
        >>> made.is_current(settings={"step_size": 1.0}, inputs={"ct": "3f2a"})
        False
    """

    settings: Any
    inputs: Any = None
    outputs: Mapping[str, int | str] = field(default_factory=dict)

    def is_current(self, *, settings: Any, inputs: Any = None, folder: Path | None = None) -> bool:
        """Return True if the result is what would be made now, and its files are still as they were written.

        Args:
            settings: The settings of now.
            inputs: The state of the inputs now.
            folder: The folder of the result; None for a result without files.
        """
        return (
            self.settings == settings
            and self.inputs == inputs
            and all(folder is not None and _is_as_written(folder / name, kept) for name, kept in self.outputs.items())
        )


def _is_as_written(path: Path, kept: int | str) -> bool:
    try:
        return (path.stat().st_size if isinstance(kept, int) else sha256(path)) == kept
    except OSError:
        return False


def fingerprint(content: Any) -> str:
    """Return the SHA-256 of JSON content, in hexadecimal; the order of keys does not matter.

    Example:
        >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
        True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def file_state(paths: Iterable[Path]) -> dict[str, int]:
    """Return number, bytes and latest change (ns) of files, which differ once any of them is another.

    Raises:
        OSError: A file does not exist.
    """
    stats = [path.stat() for path in paths]
    return {
        "files": len(stats),
        "bytes": sum(stat.st_size for stat in stats),
        "changed_ns": max((stat.st_mtime_ns for stat in stats), default=0),
    }


def tree_fingerprint(folder: Path) -> str:
    """Return a fingerprint of all files below a folder, by name, size and time of change."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            stat = path.stat()
            digest.update(f"{path.relative_to(folder).as_posix()} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


@cache
def code_fingerprint(*folders: Path) -> str:
    """Return a fingerprint of the Python files below folders: another version of the code gives another one.

    Comments and docstrings do not count.
    """
    import ast

    digest = hashlib.sha256()
    for folder in folders:
        for file in sorted(folder.rglob("*.py")):
            tree = ast.parse(file.read_bytes())
            for node in ast.walk(tree):
                body = getattr(node, "body", None)
                first = body[0] if isinstance(body, list) and body else None
                if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                    first.value.value = ""
            digest.update(f"{file.relative_to(folder).as_posix()} {ast.dump(tree)}\n".encode())
    return digest.hexdigest()


@contextmanager
def locked(path: Path, *, busy: str, shared: bool = False) -> Iterator[None]:
    """Hold a lock file, where the system can lock files; the lock ends with its process.

    Args:
        path: The lock file. It is removed when the lock is released.
        busy: Message of the error if another process holds the lock.
        shared: Let processes of other users take the same lock.

    Raises:
        SetupError: Another process holds the lock (code "locked").
    """
    from filelock import FileLock, Timeout

    if path.is_symlink():
        path.unlink()
    lock = FileLock(path, mode=0o666) if shared else FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise SetupError(busy, code="locked") from None
    except (NotImplementedError, OSError):
        # The file system has no locks.
        yield
        return
    try:
        yield
    finally:
        # Before the release: a process that waits finds the file gone and tries again. Windows removes it by itself.
        with suppress(OSError):
            path.unlink()
        lock.release()


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; None if it is missing or cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the content of a YAML file with keys and values; a JSON file is YAML, too.

    Raises:
        InputError: The file cannot be read (code "unreadable"), is not valid YAML, or does not contain keys with values
            (code "invalid-file").
    """
    import yaml

    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_loader())  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        msg = f"{path}: cannot be read ({reason}). Give the path of a YAML or JSON file."
        raise InputError(msg, code="unreadable") from error
    except yaml.YAMLError as error:
        msg = f"{path}: is not valid YAML. Correct it: {error}"
        raise InputError(msg, code="invalid-file") from error
    if not isinstance(content, dict):
        msg = f"{path}: must contain keys with values, as in 'epochs: 20'."
        raise InputError(msg, code="invalid-file")
    return content


@cache
def _loader() -> Any:
    """Return PyYAML's safe loader, which also reads 3e-4 as a number, as YAML 1.2 and JSON do."""
    import yaml

    class Loader(yaml.SafeLoader):
        """PyYAML's safe loader with numbers as in YAML 1.2."""

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
    )
    return Loader


def sha256(path: Path) -> str:
    """Return the SHA-256 of the content of a file, in hexadecimal.

    Raises:
        OSError: The file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
