"""Read and write small files, the latter whole or not at all; tell what is the same, and what an archive may hold."""

from __future__ import annotations

import hashlib
import json
import stat
from contextlib import contextmanager
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from zipfile import ZipInfo


def leads_out(member: ZipInfo) -> bool:
    """Whether a file of a zip archive is a link, or has a path that leads out of where it is unpacked.

    Both kinds of paths count on every platform, so that an archive is good or bad wherever it is opened.
    """
    posix, windows = PurePosixPath(member.filename), PureWindowsPath(member.filename)
    drive = windows.drive or any(":" in part for part in windows.parts[:1])
    outside = posix.is_absolute() or drive or windows.root or ".." in {*posix.parts, *windows.parts}
    return bool(outside) or stat.S_ISLNK(member.external_attr >> 16)


@contextmanager
def written_beside(path: Path, *, ending: str | None = None) -> Iterator[Path]:
    """Give a hidden path beside `path` to write to, and rename it to `path` unless something was raised.

    What a killed process leaves behind has a fixed name, so that the next run writes over it.

    Args:
        path: The file to write; its folder must exist.
        ending: The file ending to keep, since many writers choose the format by it. Default: the last suffix.
    """
    kept = path.suffix if ending is None else ending
    partial = path.with_name(f".{path.name[: len(path.name) - len(kept)]}.partial{kept}")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all, with the same line ends on every platform."""
    with written_beside(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Write `content` as readable JSON, whole or not at all."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    if not _is_utf8(text):
        # The name of a file may be no UTF-8; escaped it can be written, and is read back the same.
        text = json.dumps(content, indent=2)
    write_text(path, text + "\n")


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def require_utf8_name(path: Path) -> None:
    """Refuse a path that is not UTF-8: SimpleITK ends the whole process at one.

    Raises:
        InputError: The path is not UTF-8.
    """
    if not _is_utf8(str(path)):
        msg = f"{str(path)!a}: the name is not UTF-8. Rename it."
        raise InputError(msg)


def read_json(path: Path) -> Any:
    """The content of a JSON file; None if it is missing or cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def read_mapping(path: Path) -> dict[str, Any]:
    """The content of a YAML file, or of a JSON file, which is YAML too.

    Raises:
        InputError: The file cannot be read, is no YAML, or holds no names with values.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})."
        raise InputError(msg) from error
    except yaml.YAMLError as error:
        msg = f"{path}: is no YAML. {error}"
        raise InputError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path}: must hold names with values, as in 'epochs: 20'."
        raise InputError(msg)
    return content


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
