"""Findings for people and for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nnunet_femur.doctor.examination import healthy
from nnunet_femur.doctor.finding import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nnunet_femur.doctor.finding import Finding

_COLOURS = {Status.OK: "green", Status.NOTE: "blue", Status.WARNING: "yellow", Status.BROKEN: "red"}


def print_table(findings: Mapping[str, Sequence[Finding]]) -> None:
    """Print a line for each finding, below it the command that mends it."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    for check, found in findings.items():
        for finding in found:
            status = f"[{_COLOURS[finding.status]}]{finding.status.value:8}[/]"
            console.print(f"{status} {check:16} {escape(finding.message)}")
            if finding.remedy:
                console.print(f"{'':25} [bold]{escape(finding.remedy)}[/]")
    everything = [finding for found in findings.values() for finding in found]
    counts = {status: sum(finding.status is status for finding in everything) for status in Status}
    broken, warnings = counts[Status.BROKEN], counts[Status.WARNING]
    if healthy(everything):
        console.print(f"Nothing that must work is broken; {warnings} warning(s).")
    else:
        console.print(f"{broken} thing(s) broken, {warnings} warning(s). Each has the command that mends it.")


def as_json(findings: Mapping[str, Sequence[Finding]]) -> str:
    """The findings as JSON: ``healthy``, and ``findings`` with check, status, message and remedy."""
    listed = [
        {"check": check, "status": finding.status.value, "message": finding.message, "remedy": finding.remedy}
        for check, found in findings.items()
        for finding in found
    ]
    good = healthy(finding for found in findings.values() for finding in found)
    return json.dumps({"healthy": good, "findings": listed}, indent=2, ensure_ascii=False)
