"""All checks together, and their findings as a table or JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.dataset.environment import NNUNET_FOLDERS
from nnunet_femur.doctor.checks import CHECKS
from nnunet_femur.doctor.machine import Machine, look_around
from nnunet_femur.doctor.requirements import Finding, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


def examine(machine: Machine | None = None, *, checks: Sequence[Callable] = CHECKS) -> dict[str, list[Finding]]:
    """What every check finds, by its name, in the order of the checks.

    Args:
        machine: The machine; None looks at this one.
        checks: The checks.
    """
    seen = machine or look_around(_folders_that_matter())
    return {check.__name__: _findings(check, seen) for check in checks}


def healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing that must work is broken."""
    return not any(finding.status is Status.BROKEN for finding in findings)


def _folders_that_matter() -> tuple[Path, ...]:
    named = [Path(os.environ[name]) for name in NNUNET_FOLDERS if os.environ.get(name)]
    return tuple(dict.fromkeys(named or [Path.cwd()]))


def _findings(check: Callable[[Machine], Iterable[Finding]], machine: Machine) -> list[Finding]:
    try:
        return list(check(machine))
    # A check that fails is a finding too: who asks for help must not get a traceback.
    except Exception as error:  # noqa: BLE001
        message = f"This check failed ({type(error).__name__}: {error})."
        return [Finding(Status.WARNING, message, "Please report this with the output of: nnfemur doctor --json")]


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
