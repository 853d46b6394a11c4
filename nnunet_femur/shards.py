"""Parts of a batch for several machines: each case belongs to one of them, by a checksum of its name.

Machines share the output folder. Files of a case have its name, so no two machines write the same file. What is about
all cases is written to ``shards/3-of-16.NAME`` by each, and joined at the end.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "shards"
"""Folder of the records of all shards, in the output folder."""


@dataclass(frozen=True)
class Shard:
    """One of several parts of a batch.

    Attributes:
        number: Number of the part, from 1.
        count: Number of all parts.

    Example:
        >>> shard = Shard.parse("3/16")
        >>> shard, [case for case in ("L1", "L26", "R7", "R8") if shard.takes(case)]
        (Shard(3/16), ['L26'])
        >>> str(Shard(3, 16))
        '3-of-16'
    """

    number: int
    count: int

    @classmethod
    def parse(cls, given: str | Shard | None) -> Shard | None:
        """Return the part that a text such as ``3/16`` names; None for None.

        Raises:
            InputError: The text names no part (code "invalid-option").
        """
        if given is None or isinstance(given, Shard):
            return given
        match = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", given)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            msg = f"shard must be NUMBER/COUNT with a number from 1 to the count, such as 3/16, got {given!r}."
            raise InputError(msg, code="invalid-option")
        return cls(int(match[1]), int(match[2]))

    def takes(self, case: str) -> bool:
        """Return True if a case belongs to this part; further cases do not change that."""
        digest = hashlib.sha256(case.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1

    def file(self, folder: Path, name: str) -> Path:
        """Return the path of this part's file in place of ``folder/name``.

        Args:
            folder: The output folder.
            name: Name of the file that is about all cases.
        """
        return folder / FOLDER / f"{self}.{name}"

    def __str__(self) -> str:
        """Return the part as a piece of a file name."""
        return f"{self.number}-of-{self.count}"

    def __repr__(self) -> str:
        """Return the part as it is typed."""
        return f"{type(self).__name__}({self.number}/{self.count})"


def shard_files(folder: Path, name: str) -> list[Path]:
    """Return the files that parts have written in place of ``folder/name``, the oldest first.

    Args:
        folder: The output folder.
        name: Name of the file that is about all cases.
    """
    found = [path for path in (folder / FOLDER).glob(f"*-of-*.{name}") if not path.name.startswith(".")]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def missing_shards(folder: Path) -> list[Shard]:
    """Return the parts of the latest count that have written no file: they have no cases, or were not run.

    Args:
        folder: The output folder.
    """
    found: dict[Shard, int] = {}
    for path in (folder / FOLDER).glob("[!.]*-of-*.*"):
        named = re.match(r"(\d+)-of-(\d+)\.", path.name)
        if named is not None:
            part = Shard(int(named[1]), int(named[2]))
            found[part] = max(found.get(part, 0), path.stat().st_mtime_ns)
    if not found:
        return []
    count = max(found, key=lambda part: found[part]).count
    return [part for part in (Shard(number, count) for number in range(1, count + 1)) if part not in found]


def with_shards(folder: Path, name: str) -> list[Path]:
    """Return ``folder/name``, if it exists, and the files of parts, the oldest first, so that later ones replace it.

    Args:
        folder: The output folder.
        name: Name of the file that is about all cases.
    """
    whole = [folder / name] if (folder / name).is_file() else []
    return sorted([*whole, *shard_files(folder, name)], key=lambda path: path.stat().st_mtime_ns)
