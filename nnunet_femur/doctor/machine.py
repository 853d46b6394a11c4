"""Facts about this machine. Checks are functions of these facts, so that tests can describe any machine."""

from __future__ import annotations

import math
import os
import platform
import shutil
import sys
from dataclasses import dataclass, field
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.doctor.requirements import required_here

if TYPE_CHECKING:
    from collections.abc import Mapping


PACKAGE = "nnunet_femur"

IMPORTED = ("torch", "nnunetv2", "SimpleITK")
"""Modules without which nothing works; their parts in C can fail on a machine with the right versions."""

_UNLIMITED = 1 << 60
"""Least number that version 1 of control groups writes for no limit."""


@dataclass(frozen=True)
class Torch:
    """PyTorch and its devices.

    Attributes:
        version: Version, with the kind of build.
        cuda_built: True if this build can use CUDA.
        cuda: Name and memory in bytes of each CUDA device.
        mps: True if Apple's MPS is available.
    """

    version: str
    cuda_built: bool = False
    cuda: tuple[tuple[str, int], ...] = ()
    mps: bool = False


@dataclass(frozen=True)
class Machine:
    """A machine as this process sees it.

    Attributes:
        platform: ``sys.platform``.
        python: Version of Python.
        requires_python: Versions of Python that the package supports; None if the package is not installed.
        requirements: The package's requirements, as its metadata lists them.
        installed: Version of each requirement; None if it is not installed.
        import_errors: Error of each module that cannot be imported.
        environ: The environment variables.
        cpu_count: CPUs of the machine, as ``os.cpu_count`` counts them.
        cpus: CPUs that this process may use.
        memory_bytes: Memory that this process may use.
        shared_bytes: Size of ``/dev/shm``; None if the platform has none.
        free_bytes: Free space by folder, which may not exist yet.
        unwritable: Folders that cannot be written to or created.
        nvidia_driver: True if a driver for NVIDIA GPUs is installed.
        torch: PyTorch's devices; None if it cannot be imported.
        openvino: Precisions that OpenVINO computes in on this CPU; empty if it is not installed.
    """

    platform: str
    python: str
    requires_python: str | None
    requirements: tuple[str, ...] = ()
    installed: Mapping[str, str | None] = field(default_factory=dict)
    import_errors: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    cpu_count: int = 1
    cpus: int = 1
    memory_bytes: int = 0
    shared_bytes: int | None = None
    free_bytes: Mapping[Path, int] = field(default_factory=dict)
    unwritable: frozenset[Path] = frozenset()
    nvidia_driver: bool = False
    torch: Torch | None = None
    openvino: tuple[str, ...] = ()


def this_machine(folders: tuple[Path, ...]) -> Machine:
    """Return the facts about this machine.

    Args:
        folders: Folders whose disks are examined.
    """
    errors: dict[str, str] = {}
    modules = {name: _imported(name, errors) for name in IMPORTED}
    try:
        about = metadata.metadata(PACKAGE)
        requires_python, requirements = about["Requires-Python"], tuple(metadata.requires(PACKAGE) or ())
    except metadata.PackageNotFoundError:
        requires_python, requirements = None, ()
    return Machine(
        platform=sys.platform,
        python=platform.python_version(),
        requires_python=requires_python,
        requirements=requirements,
        installed={requirement.name: _version(requirement.name) for requirement in required_here(requirements)},
        import_errors=errors,
        environ=dict(os.environ),
        cpu_count=os.cpu_count() or 1,
        cpus=_cpus(),
        memory_bytes=_memory_bytes(),
        shared_bytes=shutil.disk_usage("/dev/shm").total if Path("/dev/shm").is_dir() else None,  # noqa: S108
        free_bytes={folder: shutil.disk_usage(_existing(folder)).free for folder in folders},
        unwritable=frozenset(folder for folder in folders if not os.access(_existing(folder), os.W_OK)),
        nvidia_driver=shutil.which("nvidia-smi") is not None,
        torch=_torch(modules["torch"], errors),
        openvino=_openvino(modules["torch"]),
    )


def cpus_of_quota(version_2: str | None, quota_us: str | None, period_us: str | None) -> int | None:
    """Return the number of CPUs that a control group may use, rounded up; None without a limit.

    Args:
        version_2: Content of ``cpu.max``: quota and period, or "max" and period.
        quota_us: Content of version 1's ``cpu.cfs_quota_us``; -1 without a limit.
        period_us: Content of version 1's ``cpu.cfs_period_us``.
    """
    if version_2 is not None:
        quota_us, _, period_us = version_2.strip().partition(" ")
    try:
        quota, period = int(quota_us or ""), int(period_us or "")
    except ValueError:
        return None
    return max(1, math.ceil(quota / period)) if quota > 0 and period > 0 else None


def bytes_of_limit(version_2: str | None, version_1: str | None) -> int | None:
    """Return the memory in bytes that a control group may use; None without a limit.

    Args:
        version_2: Content of ``memory.max``: a number or "max".
        version_1: Content of ``memory.limit_in_bytes``.
    """
    for text in (version_2, version_1):
        if text is not None and text.strip().isdecimal() and int(text) < _UNLIMITED:
            return int(text)
    return None


def _imported(name: str, errors: dict[str, str]) -> Any:
    try:
        return import_module(name)
    # A broken module may raise anything, which the check of imports then reports.
    except Exception as error:  # noqa: BLE001
        errors[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        return None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _torch(torch: Any, errors: dict[str, str]) -> Torch | None:
    if torch is None:
        return None
    try:
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        properties = [torch.cuda.get_device_properties(index) for index in range(count)]
        devices = tuple((each.name, int(each.total_memory)) for each in properties)
        return Torch(
            torch.__version__, torch.version.cuda is not None, devices, bool(torch.backends.mps.is_available())
        )
    except Exception as error:  # noqa: BLE001 - a driver can fail in any way
        errors["torch.cuda"] = str(error).strip()
        return Torch(str(getattr(torch, "__version__", "?")))


def _openvino(torch: Any) -> tuple[str, ...]:
    if torch is None:
        return ()
    from nnunet_femur.networks.precision import openvino_precisions

    return openvino_precisions()


def _existing(folder: Path) -> Path:
    return next((each for each in (folder, *folder.parents) if each.exists()), Path())


def _cpus() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    group = Path("/sys/fs/cgroup")
    quota = cpus_of_quota(
        _read(group / "cpu.max"), _read(group / "cpu/cpu.cfs_quota_us"), _read(group / "cpu/cpu.cfs_period_us")
    )
    return usable if quota is None else min(usable, quota)


def _memory_bytes() -> int:
    try:
        import psutil
    except ImportError:
        return 0
    group = Path("/sys/fs/cgroup")
    limit = bytes_of_limit(_read(group / "memory.max"), _read(group / "memory/memory.limit_in_bytes"))
    total = int(psutil.virtual_memory().total)
    return total if limit is None else min(total, limit)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return None
