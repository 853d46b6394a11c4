"""Results of checks, and their criteria: required versions of packages, and worker processes that a machine can run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


AUGMENTING, OTHERS = "nnUNet_n_proc_DA", "nnUNet_def_n_proc"
"""Environment variables: processes that augment training data, and processes of everything else."""

_GIB = 1 << 30

_WORKER_BYTES = 1.5 * _GIB
"""Memory of a process that imports nnU-Net and loads a few volumes."""

_TRAINING_BYTES = 4 * _GIB
"""Memory of the training process itself."""

_SHARED_BYTES = _GIB // 2
"""Shared memory of the batches that one augmenting process has ready."""

_SPAWNED_AT_MOST = 4
"""Limit on platforms that spawn processes (macOS, Windows): each imports nnU-Net again, which takes longer than more of
them save."""


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


@dataclass(frozen=True)
class Workers:
    """Numbers of worker processes.

    Attributes:
        augmenting: Processes that augment training data; 0: the training process augments.
        others: Processes that preprocess, export and evaluate; at least 1.

    Example:
        >>> Workers(augmenting=6, others=8).exports
        'export nnUNet_n_proc_DA=6 nnUNet_def_n_proc=8'
    """

    augmenting: int
    others: int

    @property
    def exports(self) -> str:
        """Line of a shell that sets these numbers."""
        return f"export {AUGMENTING}={self.augmenting} {OTHERS}={self.others}"


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


def safe_workers(*, cpus: int, memory_bytes: int, shared_bytes: int | None, platform: str) -> Workers:
    """Return numbers that fit into the CPUs and the memory of a machine.

    Args:
        cpus: CPUs that this process may use.
        memory_bytes: Memory that this process may use.
        shared_bytes: Size of ``/dev/shm``; None if the platform has none, as macOS and Windows.
        platform: ``sys.platform``.
    """
    spawned = platform in ("win32", "darwin")
    most = _SPAWNED_AT_MOST if spawned else 12
    by_memory = max(0, int((memory_bytes - _TRAINING_BYTES) / _WORKER_BYTES))
    by_shared = most if shared_bytes is None else shared_bytes // _SHARED_BYTES
    # On two CPUs, a further process takes its time from the training.
    by_cpus = 0 if cpus <= 2 else cpus - 1
    others = max(1, min(8, cpus, int(memory_bytes / (2 * _GIB)), _SPAWNED_AT_MOST if spawned else 8))
    return Workers(min(most, by_cpus, by_memory, by_shared), others)


def nnunet_workers(environ: Mapping[str, str], *, cpu_count: int) -> Workers:
    """Return the numbers that nnU-Net uses: those of the environment, or its own, which count all CPUs of the machine.

    Args:
        environ: The environment variables.
        cpu_count: CPUs of the machine.

    Raises:
        ValueError: A variable is not a whole number.
    """
    augmenting = int(environ[AUGMENTING]) if AUGMENTING in environ else 12
    others = int(environ[OTHERS]) if OTHERS in environ else 8
    return Workers(min(augmenting, cpu_count), others)


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
