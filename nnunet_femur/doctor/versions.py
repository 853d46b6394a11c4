"""The versions that the package is tested with, from its own metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from nnunet_femur.doctor.finding import Finding, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def needed(requirements: Iterable[str]) -> list[Requirement]:
    """The requirements that hold on this machine; extras and those for other platforms are left out."""
    found = []
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            found.append(requirement)
    return found


def judge_version(requirement: Requirement, installed: str | None) -> Finding | None:
    """What is wrong with an installed version; None if nothing is."""
    command = f'pip install "{requirement.name}{requirement.specifier}"'
    if installed is None:
        return Finding(Status.BROKEN, f"{requirement.name} is not installed.", command)
    try:
        fits = requirement.specifier.contains(Version(installed).base_version, prereleases=True)
    except InvalidVersion:
        fits = False
    if fits:
        return None
    message = (
        f"{requirement.name} {installed} is not among the versions this was tested with ({requirement.specifier})."
    )
    return Finding(Status.WARNING, message, command)


def judge_versions(requirements: Iterable[str], installed: Mapping[str, str | None]) -> list[Finding]:
    """What is wrong with the installed versions, or that nothing is.

    Args:
        requirements: The package's requirements, as its metadata gives them.
        installed: Versions by the name of the requirement; None where it is not installed.
    """
    wanted = needed(requirements)
    problems = [judge_version(requirement, installed.get(requirement.name)) for requirement in wanted]
    found = [problem for problem in problems if problem is not None]
    return found or [Finding(Status.OK, f"All {len(wanted)} required packages have versions that were tested.")]
