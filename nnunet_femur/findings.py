"""What a conversion finds in the files it is given: each finding has a code, a severity and a remedy."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Severity(str, Enum):
    """What a finding does to the conversion."""

    ERROR = "error"
    """Nothing is converted until it is mended."""
    WARNING = "warning"
    """The conversion goes on; a person should look at it."""
    NOTE = "note"
    """Something was changed or left out in a way that is right in all likelihood."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        code: Short name of the kind of finding, the same in every report.
        severity: What it does to the conversion.
        file: The file it was found in, relative to the source folder, with forward slashes.
        problem: What was found, and what was done about it if anything was.
        remedy: What the user can do; empty where nothing needs to be done.
    """

    code: str
    severity: Severity
    file: str
    problem: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.problem} {self.remedy}".rstrip()

    def as_json(self) -> dict[str, str]:
        """The finding as it stands in ``conversion.json``."""
        return asdict(self) | {"severity": self.severity.value}

    @classmethod
    def from_json(cls, content: dict[str, str]) -> Finding:
        """The finding that :meth:`as_json` gave."""
        return cls(**(content | {"severity": Severity(content["severity"])}))  # type: ignore[arg-type]


def about(file: Path | str, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings with `file` as the file they are about, for a path relative to the source folder."""
    name = file if isinstance(file, str) else file.as_posix()
    return tuple(replace(found, file=name) for found in findings)


def stop_at_errors(findings: Iterable[Finding], source: Path, *, outcome: str) -> None:
    """Raise one error that lists every finding that is an error; return if there is none.

    Args:
        findings: Everything found.
        source: The folder the findings are about.
        outcome: What the errors mean for the user's files, as the end of the first line.

    Raises:
        InputError: There is an error among the findings.
    """
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if errors:
        count = "1 problem" if len(errors) == 1 else f"{len(errors)} problems"
        raise InputError("\n".join([f"{source}: {count}; {outcome}", *(f"  {error}" for error in errors)]))
