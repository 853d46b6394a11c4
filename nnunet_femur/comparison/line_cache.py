"""Cache of results in a file of JSON lines, so that only what has changed is computed again."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from nnunet_femur.atomic_files import written_beside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

_T = TypeVar("_T")


class LineCache(ABC, Generic[_T]):
    """Results of an earlier run, by everything that determines them: files, options, and code.

    Args:
        kept: Results by key.

    Attributes:
        file_name: Name of the cache in the report's folder; it may be deleted at any time.
    """

    file_name: ClassVar[str]

    def __init__(self, kept: Mapping[str, _T] | None = None) -> None:
        self.kept = dict(kept or {})
        self._used: dict[str, _T] = {}

    @staticmethod
    @abstractmethod
    def as_json(result: _T) -> dict[str, Any]:
        """Return a result as JSON content."""

    @staticmethod
    @abstractmethod
    def from_json(line: dict[str, Any]) -> _T:
        """Return the result of :meth:`as_json`."""

    def get(self, key: str | None) -> _T | None:
        """Return the result with a key; None if the cache does not contain it."""
        return self.kept.get(key) if key else None

    def put(self, key: str | None, result: _T) -> None:
        """Keep a result for the next run."""
        if key:
            self._used[key] = result

    def write(self, folder: Path) -> None:
        """Write the results that this run used; others are dropped.

        Raises:
            OSError: The file cannot be written.
        """
        with (
            written_beside(folder / self.file_name, durable=False) as partial,
            partial.open("w", encoding="utf-8", newline="\n") as file,
        ):
            for key, result in self._used.items():
                file.write(json.dumps({"key": key, **self.as_json(result)}) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the cache of a report's folder; an empty cache if the folder has none or a damaged one."""
        try:
            with (folder / cls.file_name).open(encoding="utf-8") as file:
                lines = [json.loads(line) for line in file]
            return cls({str(line["key"]): cls.from_json(line) for line in lines})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # The cache only saves time: without it, everything is computed.
            return cls()
