"""Findings, versions that the package is tested with, and worker processes that a machine can run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


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


AUGMENTING, OTHERS = "nnUNet_n_proc_DA", "nnUNet_def_n_proc"
"""The variables for processes that augment training data, and for those of everything else."""

_GIB = 1 << 30

_MEMORY_OF_WORKER, _MEMORY_OF_TRAINING = 1.5 * _GIB, 4 * _GIB
"""What a process that imports nnU-Net and holds a few volumes needs, and what is left for the training itself."""

_SHARED_OF_WORKER = _GIB // 2
"""What the batches of one augmenting process, waiting in shared memory, may need."""

_SPAWNED_AT_MOST = 4
"""Where processes are spawned (macOS, Windows) each imports nnU-Net anew, which takes longer than more of them save."""


@dataclass(frozen=True)
class Workers:
    """Numbers of processes.

    Attributes:
        augmenting: Those that augment training data; 0 does it in the training itself.
        others: Those that preprocess, export and evaluate; at least 1.
    """

    augmenting: int
    others: int

    @property
    def exports(self) -> str:
        """The same as a line for a shell."""
        return f"export {AUGMENTING}={self.augmenting} {OTHERS}={self.others}"


def safe_workers(*, cpus: int, memory_bytes: int, shared_bytes: int | None, platform: str) -> Workers:
    """Numbers that neither exceed the CPUs nor the memory.

    Args:
        cpus: CPUs that this process may use.
        memory_bytes: Memory that this process may use.
        shared_bytes: Size of ``/dev/shm``; None where there is none, as on macOS and Windows.
        platform: ``sys.platform``.
    """
    spawned = platform in ("win32", "darwin")
    most = _SPAWNED_AT_MOST if spawned else 12
    by_memory = max(0, int((memory_bytes - _MEMORY_OF_TRAINING) / _MEMORY_OF_WORKER))
    by_shared = most if shared_bytes is None else shared_bytes // _SHARED_OF_WORKER
    # On two CPUs a further process takes its time from the training.
    by_cpus = 0 if cpus <= 2 else cpus - 1
    others = max(1, min(8, cpus, int(memory_bytes / (2 * _GIB)), _SPAWNED_AT_MOST if spawned else 8))
    return Workers(min(most, by_cpus, by_memory, by_shared), others)


def nnunet_workers(environ: Mapping[str, str], *, cpu_count: int) -> Workers:
    """The numbers that nnU-Net takes: those of the environment, or its own, which look at all CPUs of the machine.

    Raises:
        ValueError: A variable is no whole number.
    """
    augmenting = int(environ[AUGMENTING]) if AUGMENTING in environ else 12
    others = int(environ[OTHERS]) if OTHERS in environ else 8
    return Workers(min(augmenting, cpu_count), others)
