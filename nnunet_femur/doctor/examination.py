"""All checks, none of which can stop the others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.dataset.environment import NNUNET_FOLDERS
from nnunet_femur.doctor.checks import CHECKS
from nnunet_femur.doctor.finding import Finding, Status
from nnunet_femur.doctor.machine import Machine, look_around

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


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
