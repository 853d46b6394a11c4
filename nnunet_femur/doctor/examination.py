"""All checks together, and their results as a table or JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.dataset.environment import NNUNET_FOLDERS
from nnunet_femur.doctor.checks import CHECKS
from nnunet_femur.doctor.machine import Machine, this_machine
from nnunet_femur.doctor.requirements import CheckResult, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


_COLOURS = {Status.OK: "green", Status.NOTE: "blue", Status.WARNING: "yellow", Status.BROKEN: "red"}


def examine(machine: Machine | None = None, *, checks: Sequence[Callable] = CHECKS) -> dict[str, list[CheckResult]]:
    """Return the results of every check by its name, in the order of the checks.

    Args:
        machine: The machine; None: this one.
        checks: The checks.

    Example:
        >>> results = examine()
        >>> results["python"][0].status.value
        'ok'
    """
    facts = machine or this_machine(_examined_folders())
    return {check.__name__: _results(check, facts) for check in checks}


def healthy(results: Iterable[CheckResult]) -> bool:
    """Return True if no result is "broken".

    Example:
        >>> healthy([CheckResult(Status.WARNING, "No GPU.")])
        True
    """
    return not any(result.status is Status.BROKEN for result in results)


def print_table(results: Mapping[str, Sequence[CheckResult]]) -> None:
    """Print a line for each result, and the command that fixes the problem below it."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    for check, found in results.items():
        for result in found:
            status = f"[{_COLOURS[result.status]}]{result.status.value:8}[/]"
            console.print(f"{status} {check:16} {escape(result.message)}")
            if result.remedy:
                console.print(f"{'':25} [bold]{escape(result.remedy)}[/]")
    statuses = [result.status for found in results.values() for result in found]
    broken, warnings = statuses.count(Status.BROKEN), statuses.count(Status.WARNING)
    if broken:
        console.print(f"Problems: {broken} broken, {warnings} warnings. Below each is the command that fixes it.")
    elif warnings:
        console.print(f"Nothing is broken. Warnings: {warnings}; below each is the command that fixes it.")
    else:
        console.print("Nothing is broken.")


def as_json(results: Mapping[str, Sequence[CheckResult]]) -> str:
    """Return the results as JSON: ``healthy``, and ``findings`` with check, status, message and remedy."""
    listed = [
        {"check": check, "status": result.status.value, "message": result.message, "remedy": result.remedy}
        for check, found in results.items()
        for result in found
    ]
    good = healthy(result for found in results.values() for result in found)
    return json.dumps({"healthy": good, "findings": listed}, indent=2, ensure_ascii=False)


def _examined_folders() -> tuple[Path, ...]:
    named = [Path(os.environ[name]) for name in NNUNET_FOLDERS if os.environ.get(name)]
    return tuple(dict.fromkeys(named or [Path.cwd()]))


def _results(check: Callable[[Machine], Iterable[CheckResult]], machine: Machine) -> list[CheckResult]:
    try:
        return list(check(machine))
    # A user who asks for help must not get a traceback.
    except Exception as error:  # noqa: BLE001
        message = f"This check failed ({type(error).__name__}: {error})."
        return [CheckResult(Status.WARNING, message, "Please report this with the output of: nnfemur doctor --json")]
