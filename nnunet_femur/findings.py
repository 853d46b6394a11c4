"""Findings about files, each with a code, a severity, a problem and a remedy."""

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
"""Largest number of files that a message lists for one code; the report file lists all of them."""


class Severity(str, Enum):
    """Effect of a finding on the conversion."""

    ERROR = "error"
    """Nothing is converted until it is fixed."""
    WARNING = "warning"
    """The case is converted; a person should check it."""
    NOTE = "note"
    """Something was changed or left out, most likely correctly."""


@dataclass(frozen=True)
class Finding:
    """An observation about one file.

    Attributes:
        code: Short name of the kind of finding, the same in every report; see :data:`nnunet_femur.kinds.KINDS`.
        severity: Effect on the conversion.
        file: The file, relative to the source folder, with forward slashes.
        problem: The problem, as a sentence without its subject, with any action that was taken.
        remedy: The fix; empty if nothing needs to be done.

    Example:
        >>> print(Finding("no-spacing", Severity.ERROR, "L1.nrrd", "does not contain its spacing.", "Export it again."))
        L1.nrrd: does not contain its spacing. Export it again.
    """

    code: str
    severity: Severity
    file: str
    problem: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.problem} {self.remedy}".rstrip()

    def as_json(self) -> dict[str, str]:
        """Return the finding as content of ``conversion.json``."""
        return asdict(self) | {"severity": self.severity.value}

    @classmethod
    def from_json(cls, content: dict[str, str]) -> Finding:
        """Return a finding from the result of :meth:`as_json`."""
        return cls(**(content | {"severity": Severity(content["severity"])}))  # type: ignore[arg-type]


def about(file: Path | str, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return copies of findings about another file, such as its path relative to the source folder."""
    return tuple(replace(found, file=file_text(file)) for found in findings)


def file_text(file: Path | str) -> str:
    """Return a path as text for messages and files: with forward slashes, and with bytes escaped that are not UTF-8."""
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
    """Return the number of files for each code, the most severe codes first: "padding, 18 files; ..."."""
    kinds = Counter((list(Severity).index(found.severity), found.code) for found in findings)
    return "; ".join(
        f"{code}, {count} {'file' if count == 1 else 'files'}" for (_, code), count in sorted(kinds.items())
    )


def stop_at_errors(findings: Sequence[Finding], source: Path, *, outcome: str, more: str = "") -> None:
    """Raise one error that lists all errors among findings; return if there are none.

    For each code, the first files are listed and the others are counted. A summary of warnings and notes follows.

    Args:
        findings: All findings.
        source: The source folder of the findings.
        outcome: Effect of the errors on the user's files, the end of the first line.
        more: A last line, such as the path of the full list.

    Raises:
        InputError: There is an error among the findings ("bad-cases").
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
            lines.append(f"  {len(of_kind) - _MOST_LISTED} more with the code {code}.")
    others = [found for found in findings if found.severity is not Severity.ERROR]
    if others:
        lines.append(f"Also found: {summary(others)}.")
    if more:
        lines.append(more)
    raise InputError("\n".join(lines), code="bad-cases")


def write_findings(findings: Iterable[Finding], path: Path) -> None:
    """Write findings to a CSV file, with the columns severity, code, file, problem and remedy.

    Raises:
        OSError: The file cannot be written.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("severity", "code", "file", "problem", "remedy"))
    for found in sorted(findings, key=lambda found: list(Severity).index(found.severity)):
        table.writerow((found.severity.value, found.code, found.file, found.problem, found.remedy))
    write_text(path, text.getvalue())
