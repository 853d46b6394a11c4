"""Results of checks: a status, a message, and the command that fixes the problem."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Status(str, Enum):
    """Severity of a result."""

    OK = "ok"
    NOTE = "note"
    """Information; nothing has to be done."""
    WARNING = "warning"
    """A part of the package does not work, or not well."""
    BROKEN = "broken"
    """The package does not work."""


@dataclass(frozen=True)
class CheckResult:
    """One result of a check.

    Attributes:
        status: Severity of the result.
        message: The state that was found.
        remedy: Command or action that fixes the problem; empty if nothing has to be done.

    Example:
        >>> CheckResult(Status.WARNING, "No GPU.", "nnfemur plan -d N --preset small").status.value
        'warning'
    """

    status: Status
    message: str
    remedy: str = ""
