"""Checks of a machine. To add one, write a function of a machine and add it to :data:`CHECKS`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from nnunet_femur.dataset.environment import EXT_TRAINER, NNUNET_FOLDERS, TRAINER_FOLDER, set_up_command
from nnunet_femur.doctor.requirements import (
    AUGMENTING,
    OTHERS,
    CheckResult,
    Status,
    check_versions,
    nnunet_workers,
    safe_workers,
)
from nnunet_femur.errors import FemurError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nnunet_femur.doctor.machine import Machine


_GIB = 1 << 30


def python(machine: Machine) -> Iterable[CheckResult]:
    """Check the version of Python."""
    if machine.requires_python is None:
        yield CheckResult(
            Status.BROKEN, "nnunet_femur is not installed; only its source code was found.", "pip install ."
        )
    elif machine.python not in SpecifierSet(machine.requires_python):
        message = f"Python {machine.python} is not supported ({machine.requires_python})."
        yield CheckResult(Status.WARNING, message, "uv venv --python 3.12 && uv pip install nnunet_femur")
    else:
        yield CheckResult(Status.OK, f"Python {machine.python}.")


def versions(machine: Machine) -> Iterable[CheckResult]:
    """Check the versions of the required packages."""
    yield from check_versions(machine.requirements, machine.installed)


def imports(machine: Machine) -> Iterable[CheckResult]:
    """Check that packages with parts in C can be imported."""
    for name, error in machine.import_errors.items():
        if name == "torch.cuda":
            message = f"PyTorch cannot use the GPU ({error})."
            yield CheckResult(Status.WARNING, message, "nvidia-smi   # prints the problem of the driver")
        else:
            message = f"{name} cannot be imported ({error})."
            yield CheckResult(Status.BROKEN, message, f"pip install --force-reinstall {name}")
    if not machine.import_errors:
        yield CheckResult(Status.OK, "PyTorch, nnU-Net and SimpleITK can be imported.")


def gpu(machine: Machine) -> Iterable[CheckResult]:
    """Check the GPU."""
    torch = machine.torch
    if torch is None:
        return
    for name, memory in torch.cuda:
        message = f"{name} with {memory / _GIB:.0f} GiB: trains and predicts with --device cuda."
        yield CheckResult(Status.OK, message)
        if memory < 8 * _GIB:
            message = f"{name} has less than the 8 GiB that nnU-Net's plans need."
            yield CheckResult(Status.WARNING, message, "nnfemur plan -d N --preset small")
    if torch.cuda:
        return
    if torch.mps:
        yield CheckResult(Status.OK, "Apple GPU: trains and predicts with --device mps.")
    elif machine.nvidia_driver and machine.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        message = "An NVIDIA driver is installed, but CUDA_VISIBLE_DEVICES hides its GPUs."
        yield CheckResult(Status.WARNING, message, "unset CUDA_VISIBLE_DEVICES")
    elif machine.nvidia_driver and not torch.cuda_built:
        message = f"An NVIDIA driver is installed, but PyTorch {torch.version} was built without CUDA."
        yield CheckResult(Status.WARNING, message, "pip install --force-reinstall torch   # a build with CUDA")
    elif machine.nvidia_driver:
        message = "An NVIDIA driver is installed, but PyTorch finds no GPU. The driver may be too old for its CUDA."
        yield CheckResult(Status.WARNING, message, "nvidia-smi   # compare its CUDA version with torch.version.cuda")
    else:
        message = "No GPU. A CPU predicts a case in minutes, and trains networks of the small preset."
        yield CheckResult(Status.NOTE, message, "nnfemur plan -d N --preset small")


def cpu(machine: Machine) -> Iterable[CheckResult]:
    """Check the library that computes networks on the CPU."""
    if "float16" in machine.openvino:
        yield CheckResult(Status.OK, "OpenVINO predicts in float16 on this CPU.")
    elif machine.openvino:
        yield CheckResult(Status.OK, "OpenVINO predicts in float32 on this CPU, which has no instructions for float16.")
    elif machine.torch is not None and not machine.torch.cuda:
        message = "OpenVINO is not installed. With it, a CPU predicts at least twice as fast."
        yield CheckResult(Status.NOTE, message, "pip install openvino")


def memory(machine: Machine) -> Iterable[CheckResult]:
    """Check the main memory."""
    gib = machine.memory_bytes / _GIB
    if gib < 7.5:
        message = f"{gib:.1f} GiB of memory, too little for large CTs."
        yield CheckResult(Status.WARNING, message, "nnfemur plan -d N --preset small   # and close other programs")
    else:
        yield CheckResult(Status.OK, f"{gib:.1f} GiB of memory.")


def disk(machine: Machine) -> Iterable[CheckResult]:
    """Check the free space of disks."""
    for folder, free in machine.free_bytes.items():
        message = f"{folder}: {free / _GIB:.1f} GiB free"
        if free < _GIB:
            yield CheckResult(Status.BROKEN, f"{message}, too little for a checkpoint.", f"du -sh {folder}/*")
        elif free < 20 * _GIB:
            yield CheckResult(
                Status.WARNING, f"{message}; forty CTs and their networks need about 20.", f"du -sh {folder}/*"
            )
        else:
            yield CheckResult(Status.OK, f"{message}.")


def folders(machine: Machine) -> Iterable[CheckResult]:
    """Check nnU-Net's three folders."""
    unset = [name for name in NNUNET_FOLDERS if not machine.environ.get(name)]
    if unset:
        message = f"{', '.join(unset)} not set. Prediction works; conversion, planning and training do not."
        yield CheckResult(Status.WARNING, message, set_up_command())
    closed = [
        name for name in NNUNET_FOLDERS if name not in unset and Path(machine.environ[name]) in machine.unwritable
    ]
    for name in closed:
        message = f"{machine.environ[name]}: cannot be written to, but {name} names it."
        yield CheckResult(Status.BROKEN, message, f"{set_up_command()}   # with a DIR that is yours")
    if not unset and not closed:
        yield CheckResult(
            Status.OK, "nnUNet_raw, nnUNet_preprocessed and nnUNet_results are set and can be written to."
        )


def trainers(machine: Machine) -> Iterable[CheckResult]:
    """Check that nnU-Net's own commands find this package's trainers."""
    paths = [path for path in machine.environ.get(EXT_TRAINER, "").split(os.pathsep) if path]
    if str(TRAINER_FOLDER) not in paths:
        message = f"{EXT_TRAINER} does not name this package, so nnUNetv2_train does not find its trainers."
        yield CheckResult(Status.WARNING, message, set_up_command())
    elif paths[0] != str(TRAINER_FOLDER):
        message = f"{EXT_TRAINER} names {paths[0]} first. An error in it hides this package's trainers."
        yield CheckResult(Status.WARNING, message, set_up_command())
    else:
        yield CheckResult(Status.OK, "nnU-Net finds this package's trainers.")


def workers(machine: Machine) -> Iterable[CheckResult]:
    """Check the numbers of nnU-Net's worker processes."""
    safe = safe_workers(
        cpus=machine.cpus,
        memory_bytes=machine.memory_bytes,
        shared_bytes=machine.shared_bytes,
        platform=machine.platform,
    )
    try:
        used = nnunet_workers(machine.environ, cpu_count=machine.cpu_count)
    except ValueError:
        yield CheckResult(
            Status.BROKEN, f"{AUGMENTING} and {OTHERS} must be whole numbers; nnU-Net does not start.", safe.exports
        )
        return
    if used.others < 1 or used.augmenting < 0:
        yield CheckResult(Status.BROKEN, f"{OTHERS} must be at least 1 and {AUGMENTING} at least 0.", safe.exports)
        return
    about = f"nnU-Net uses {used.augmenting} processes for augmentation and {used.others} for other work"
    has = f"{machine.cpus} CPU(s) and {machine.memory_bytes / _GIB:.0f} GiB of memory"
    if machine.shared_bytes is not None and machine.shared_bytes < _GIB and used.augmenting > safe.augmenting:
        size = f"Shared memory (/dev/shm) has {machine.shared_bytes >> 20} MiB"
        message = f"{size}; a training with {used.augmenting} processes crashes."
        yield CheckResult(Status.WARNING, message, f"docker run --shm-size=8g ...   # or: {safe.exports}")
    elif used.augmenting > safe.augmenting or used.others > safe.others:
        yield CheckResult(Status.WARNING, f"{about}, too many for {has}.", safe.exports)
    else:
        yield CheckResult(Status.OK, f"{about}; the machine has {has}.")


def totalsegmentator(machine: Machine) -> Iterable[CheckResult]:  # noqa: ARG001 - the functions below examine the machine
    """Check the models of TotalSegmentator, for fine-tuning and the baseline."""
    from nnunet_femur.weights.models import find_crop_model, find_model

    try:
        model = find_model()
        find_crop_model()
    except (FemurError, ImportError) as error:
        yield CheckResult(Status.WARNING, str(error), "nnfemur weights download")
        return
    if model.is_dummy:
        message = f"{model.folder}: contains dummy weights, which segment no patients."
        yield CheckResult(Status.WARNING, message, "nnfemur weights download")
    else:
        yield CheckResult(Status.OK, f"TotalSegmentator's models are in {model.folder.parents[1]}.")


def encoders(machine: Machine) -> Iterable[CheckResult]:
    """Check the ImageNet weights of the encoders of 2D networks."""
    from nnunet_femur.weights.encoders import encoder_places

    places = encoder_places(machine.environ, Path.home())
    files = [file for place, pattern in places for file in place.glob(pattern)]
    if files:
        yield CheckResult(Status.OK, f"Encoder weights found: {len(files)} file(s).")
    else:
        message = "No encoder weights found. Trainings of 2D networks download them from the model hub."
        yield CheckResult(
            Status.NOTE, message, "nnfemur weights encoders --download   # without internet: --from-folder"
        )


CHECKS: tuple[Callable[[Machine], Iterable[CheckResult]], ...] = (
    python,
    versions,
    imports,
    gpu,
    cpu,
    memory,
    disk,
    folders,
    trainers,
    workers,
    totalsegmentator,
    encoders,
)
"""All checks in the order of the output; the name of a check is that of its function."""
