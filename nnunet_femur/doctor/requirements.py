"""Versions of the required packages, compared with the versions that this package is tested with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from nnunet_femur.doctor.check_result import CheckResult, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def required_here(requirements: Iterable[str]) -> list[Requirement]:
    """Return the requirements of this machine, without extras and requirements of other platforms.

    Args:
        requirements: The package's requirements, as its metadata lists them.
    """
    found = []
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            found.append(requirement)
    return found


def check_versions(requirements: Iterable[str], installed: Mapping[str, str | None]) -> list[CheckResult]:
    """Return a result for each package that is missing or has another version; one result if all versions fit.

    Args:
        requirements: The package's requirements, as its metadata lists them.
        installed: Versions by the name of the requirement; None if it is not installed.
    """
    required = required_here(requirements)
    problems = [_check_version(requirement, installed.get(requirement.name)) for requirement in required]
    found = [problem for problem in problems if problem is not None]
    return found or [CheckResult(Status.OK, f"All {len(required)} required packages have tested versions.")]


def _check_version(requirement: Requirement, installed: str | None) -> CheckResult | None:
    command = f'pip install "{requirement.name}{requirement.specifier}"'
    if installed is None:
        return CheckResult(Status.BROKEN, f"{requirement.name} is not installed.", command)
    try:
        fits = requirement.specifier.contains(Version(installed).base_version, prereleases=True)
    except InvalidVersion:
        fits = False
    if fits:
        return None
    message = f"{requirement.name} {installed} is not a tested version ({requirement.specifier})."
    return CheckResult(Status.WARNING, message, command)
