"""Checks of a machine. To add one, write a function of a machine and a line in :data:`CHECKS`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from nnunet_femur.dataset.environment import EXT_TRAINER, NNUNET_FOLDERS, TRAINER_FOLDER
from nnunet_femur.doctor.requirements import (
    AUGMENTING,
    OTHERS,
    Finding,
    Status,
    judge_versions,
    nnunet_workers,
    safe_workers,
)
from nnunet_femur.errors import FemurError
from nnunet_femur.weights.encoders import encoder_places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nnunet_femur.doctor.machine import Machine


def totalsegmentator(machine: Machine) -> Iterable[Finding]:  # noqa: ARG001 - it looks for itself
    """TotalSegmentator's models, for fine-tuning and as a baseline."""
    from nnunet_femur.weights.models import find_crop_model, find_model

    try:
        model = find_model()
        find_crop_model()
    except (FemurError, ImportError) as error:
        yield Finding(Status.WARNING, str(error), "nnfemur weights download")
        return
    if model.is_dummy:
        message = f"{model.folder}: dummy weights, which know nothing of patients."
        yield Finding(Status.WARNING, message, "nnfemur weights download")
    else:
        yield Finding(Status.OK, f"TotalSegmentator's models are at {model.folder.parents[1]}.")


def encoders(machine: Machine) -> Iterable[Finding]:
    """ImageNet weights for the encoders of the networks that work in slices."""
    places = encoder_places(machine.environ, Path.home())
    files = [file for place, pattern in places for file in place.glob(pattern)]
    if files:
        yield Finding(Status.OK, f"{len(files)} file(s) of encoder weights are here.")
    else:
        message = "No encoder weights are here: a training of slices fetches them from the model hub, or stops without."
        yield Finding(Status.NOTE, message, "nnfemur weights encoders --download   # without internet: --from-folder")


_GIB = 1 << 30
_SET_UP = 'eval "$(nnfemur env DIR)"'


def python(machine: Machine) -> Iterable[Finding]:
    """Python itself."""
    if machine.requires_python is None:
        yield Finding(Status.BROKEN, "nnunet_femur is not installed, only its sources are here.", "pip install .")
    elif machine.python not in SpecifierSet(machine.requires_python):
        message = f"Python {machine.python} is none of those this is made for ({machine.requires_python})."
        yield Finding(Status.WARNING, message, "uv venv --python 3.12 && uv pip install nnunet_femur")
    else:
        yield Finding(Status.OK, f"Python {machine.python}")


def versions(machine: Machine) -> Iterable[Finding]:
    """The packages that this one needs."""
    yield from judge_versions(machine.requirements, machine.installed)


def imports(machine: Machine) -> Iterable[Finding]:
    """The packages in C, which may be there and yet not start."""
    for name, error in machine.import_errors.items():
        if name == "torch.cuda":
            message = f"PyTorch cannot talk to the GPU ({error})."
            yield Finding(Status.WARNING, message, "nvidia-smi   # it says what is wrong with the driver")
        else:
            message = f"{name} cannot be imported ({error})."
            yield Finding(Status.BROKEN, message, f"pip install --force-reinstall {name}")
    if not machine.import_errors:
        yield Finding(Status.OK, "PyTorch, nnU-Net and SimpleITK can be imported.")


def gpu(machine: Machine) -> Iterable[Finding]:
    """Where networks run."""
    torch = machine.torch
    if torch is None:
        return
    for name, memory in torch.cuda:
        message = f"{name} with {memory / _GIB:.0f} GiB: trains and predicts with --device cuda."
        yield Finding(Status.OK, message)
        if memory < 8 * _GIB:
            message = f"{name} has less than the 8 GiB that nnU-Net plans for."
            yield Finding(Status.WARNING, message, "nnfemur plan -d N --preset small")
    if torch.cuda:
        return
    if torch.mps:
        yield Finding(Status.OK, "Apple GPU: trains and predicts with --device mps.")
    elif machine.nvidia_driver and machine.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        message = "There is an NVIDIA driver, but CUDA_VISIBLE_DEVICES hides its GPUs."
        yield Finding(Status.WARNING, message, "unset CUDA_VISIBLE_DEVICES")
    elif machine.nvidia_driver and not torch.cuda_built:
        message = f"There is an NVIDIA driver, but PyTorch {torch.version} was built without CUDA."
        yield Finding(Status.WARNING, message, "pip install --force-reinstall torch   # a build with CUDA")
    elif machine.nvidia_driver:
        message = "There is an NVIDIA driver, but PyTorch finds no GPU; the driver may be older than its CUDA."
        yield Finding(Status.WARNING, message, "nvidia-smi   # compare its CUDA version with torch.version.cuda")
    else:
        message = "No GPU: the CPU predicts in minutes, and trains the small preset."
        yield Finding(Status.NOTE, message, "nnfemur plan -d N --preset small")


def folders(machine: Machine) -> Iterable[Finding]:
    """nnU-Net's three folders."""
    unset = [name for name in NNUNET_FOLDERS if not machine.environ.get(name)]
    if unset:
        message = f"{', '.join(unset)} not set: nnfemur predict works, converting, planning and training do not."
        yield Finding(Status.WARNING, message, _SET_UP)
    closed = [
        name for name in NNUNET_FOLDERS if name not in unset and Path(machine.environ[name]) in machine.unwritable
    ]
    for name in closed:
        message = f"{name} points to {machine.environ[name]}, which cannot be written to."
        yield Finding(Status.BROKEN, message, f"{_SET_UP}   # with a DIR that is yours")
    if not unset and not closed:
        yield Finding(Status.OK, "nnUNet_raw, nnUNet_preprocessed and nnUNet_results are set and can be written to.")


def trainers(machine: Machine) -> Iterable[Finding]:
    """Whether nnU-Net's own commands find this package's trainers."""
    paths = [path for path in machine.environ.get(EXT_TRAINER, "").split(os.pathsep) if path]
    if str(TRAINER_FOLDER) not in paths:
        message = f"{EXT_TRAINER} does not name this package: nnUNetv2_train will not find its trainers."
        yield Finding(Status.WARNING, message, _SET_UP)
    elif paths[0] != str(TRAINER_FOLDER):
        message = f"{EXT_TRAINER} names {paths[0]} first; an error in it hides this package's trainers."
        yield Finding(Status.WARNING, message, _SET_UP)
    else:
        yield Finding(Status.OK, "nnU-Net finds this package's trainers.")


def disk(machine: Machine) -> Iterable[Finding]:
    """Free space."""
    for folder, free in machine.free_bytes.items():
        message = f"{free / _GIB:.1f} GiB are free at {folder}"
        if free < _GIB:
            yield Finding(Status.BROKEN, f"{message}: not enough for a checkpoint.", f"du -sh {folder}/*")
        elif free < 20 * _GIB:
            yield Finding(
                Status.WARNING, f"{message}; forty CTs and their networks take about 20.", f"du -sh {folder}/*"
            )
        else:
            yield Finding(Status.OK, f"{message}.")


def memory(machine: Machine) -> Iterable[Finding]:
    """Main memory."""
    gib = machine.memory_bytes / _GIB
    if gib < 7.5:
        message = f"{gib:.1f} GiB of memory: large CTs will not fit."
        yield Finding(Status.WARNING, message, "nnfemur plan -d N --preset small   # and close other programs")
    else:
        yield Finding(Status.OK, f"{gib:.1f} GiB of memory")


def workers(machine: Machine) -> Iterable[Finding]:
    """How many processes nnU-Net will start."""
    safe = safe_workers(
        cpus=machine.cpus,
        memory_bytes=machine.memory_bytes,
        shared_bytes=machine.shared_bytes,
        platform=machine.platform,
    )
    try:
        used = nnunet_workers(machine.environ, cpu_count=machine.cpu_count)
    except ValueError:
        yield Finding(Status.BROKEN, f"{AUGMENTING} or {OTHERS} is no number; nnU-Net will not start.", safe.exports)
        return
    if used.others < 1 or used.augmenting < 0:
        yield Finding(Status.BROKEN, f"{OTHERS} is below 1 or {AUGMENTING} below 0.", safe.exports)
        return
    about = f"nnU-Net will use {used.augmenting} processes to augment and {used.others} for the rest"
    has = f"{machine.cpus} CPU(s), {machine.memory_bytes / _GIB:.0f} GiB"
    if machine.shared_bytes is not None and machine.shared_bytes < _GIB and used.augmenting > safe.augmenting:
        size = f"Shared memory (/dev/shm) has {machine.shared_bytes >> 20} MiB"
        message = f"{size}: a training with {used.augmenting} processes will crash."
        yield Finding(Status.WARNING, message, f"docker run --shm-size=8g ...   # or: {safe.exports}")
    elif used.augmenting > safe.augmenting or used.others > safe.others:
        yield Finding(Status.WARNING, f"{about}, which is too much for {has}.", safe.exports)
    else:
        yield Finding(Status.OK, f"{about}, on {has}.")


CHECKS: tuple[Callable[[Machine], Iterable[Finding]], ...] = (
    python,
    versions,
    imports,
    gpu,
    memory,
    disk,
    folders,
    trainers,
    workers,
    totalsegmentator,
    encoders,
)
"""In the order in which they are printed; a check's name is its function's."""
