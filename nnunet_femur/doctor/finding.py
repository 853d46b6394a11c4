"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Status(str, Enum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing has to be done."""
    WARNING = "warning"
    """A part will not work, or not well, until something is done."""
    BROKEN = "broken"
    """Nothing, or nothing that matters, can work like this."""


@dataclass(frozen=True)
class Finding:
    """One thing that a check has found.

    Attributes:
        status: How bad it is.
        message: What was found.
        remedy: The command that mends it, or what to do; empty where nothing has to be done.
    """

    status: Status
    message: str
    remedy: str = ""
