"""Findings about files: each has a code, a severity, the problem and a remedy."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from nnunet_femur.atomic_files import write_text
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


_MOST_LISTED = 8
"""Files of one kind of error that a message names; all of them are in the report file."""


class Severity(str, Enum):
    """Effect of a finding on the conversion."""

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
    return tuple(replace(found, file=file_text(file)) for found in findings)


def file_text(file: Path | str) -> str:
    """Return a path with forward slashes as it can be printed and written: bytes that are not UTF-8 are escaped."""
    name = file if isinstance(file, str) else file.as_posix()
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def errors_of(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that are errors."""
    return [found for found in findings if found.severity is Severity.ERROR]


def as_left_out(case: str, findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings of a case that is left out: its errors become warnings that name the case."""
    return [
        replace(found, severity=Severity.WARNING, problem=f"{found.problem} Case {case} was left out.")
        if found.severity is Severity.ERROR
        else found
        for found in findings
    ]


def summary(findings: Iterable[Finding]) -> str:
    """Return the number of files of each kind of finding, the worst kinds first: "padding, 18 files; ..."."""
    kinds = Counter((list(Severity).index(found.severity), found.code) for found in findings)
    return "; ".join(
        f"{code}, {count} {'file' if count == 1 else 'files'}" for (_, code), count in sorted(kinds.items())
    )


def stop_at_errors(findings: Sequence[Finding], source: Path, *, outcome: str, more: str = "") -> None:
    """Raise one error about every finding that is an error; return without errors.

    Of one kind the first few files are listed and the others counted. Warnings and notes follow as a summary.

    Args:
        findings: Everything found.
        source: The folder the findings are about.
        outcome: What the errors mean for the user's files, as the end of the first line.
        more: A last line, such as the place of the full list.

    Raises:
        InputError: There is an error among the findings.
    """
    errors = errors_of(findings)
    if not errors:
        return
    count = "1 problem" if len(errors) == 1 else f"{len(errors)} problems"
    lines = [f"{source}: {count}; {outcome}"]
    for code in dict.fromkeys(found.code for found in errors):
        of_kind = [found for found in errors if found.code == code]
        lines += [f"  {found}" for found in of_kind[:_MOST_LISTED]]
        if len(of_kind) > _MOST_LISTED:
            lines.append(f"  {len(of_kind) - _MOST_LISTED} more of the kind {code}.")
    others = [found for found in findings if found.severity is not Severity.ERROR]
    if others:
        lines.append(f"Also found: {summary(others)}.")
    if more:
        lines.append(more)
    raise InputError("\n".join(lines), code="bad-cases")


def write_findings(findings: Iterable[Finding], path: Path) -> None:
    """Write every finding as a row of a CSV file: severity, code, file, problem, remedy.

    Raises:
        OSError: The file cannot be written.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("severity", "code", "file", "problem", "remedy"))
    for found in sorted(findings, key=lambda found: list(Severity).index(found.severity)):
        table.writerow((found.severity.value, found.code, found.file, found.problem, found.remedy))
    write_text(path, text.getvalue())
