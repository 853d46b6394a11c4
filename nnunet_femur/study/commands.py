"""One command of a study as a job: its words, its result, the settings that determine it, and its order."""

from __future__ import annotations

import re
import shutil
import sysconfig
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


STAGES = (
    *("phantoms", "convert", "plan", "train", "validate", "predict", "baseline"),
    *("ensemble", "select", "compare"),
)
"""Kinds of jobs, in the order in which data pass them."""

ON_GPU = ("train", "validate", "predict", "baseline")
"""Stages that use a GPU if there is one."""


@dataclass(frozen=True)
class Job:
    """One command of a study.

    Attributes:
        stage: One of :data:`STAGES`.
        label: Name among the jobs of its stage; empty for the only one.
        command: The command and its options.
        made: File or folder that exists once the job has ended well.
        settings: Everything that the result depends on; a change makes the job due again.
        after: Names of jobs whose results it reads; it is due again when one of them runs again.
        once: Names of jobs that must be done before it, but may run again without making it due.
        partial: Folder that the command writes to; renamed to `made` when the command has ended well.
        resumes: Pattern of files beside `made` of an earlier run that ``--c`` continues.
        model: Folder of a network of these settings; moved aside when they change, unless its training can continue.
        trainer: Class name of the trainer, which determines the part of a recipe that the network depends on.
        reads: Files that the user may edit; the job is due again when one is newer than its result. Unlike `settings`,
            they may be written by the job itself.
    """

    stage: str
    label: str
    command: tuple[str, ...]
    made: Path
    settings: Mapping[str, Any]
    after: tuple[str, ...] = ()
    once: tuple[str, ...] = ()
    partial: Path | None = None
    resumes: str | None = None
    model: Path | None = None
    trainer: str | None = None
    reads: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """Name of the job and of its files."""
        return "-".join(filter(None, (self.stage, self.label)))

    @property
    def rule(self) -> str:
        """Name of the job's rule in Snakemake, and of its job in SLURM."""
        return re.sub(r"\W", "_", self.name)

    @property
    def on_gpu(self) -> bool:
        """True if the job uses a GPU if there is one."""
        return self.stage in ON_GPU


def script(name: str) -> str:
    """Return the path of a command of this Python environment, which may not be the first one in PATH."""
    return shutil.which(name, path=sysconfig.get_path("scripts")) or name


def option_words(options: Mapping[str, Any]) -> list[str]:
    """Return options as words of a command line."""
    typed = []
    for name, value in options.items():
        if name == "raters":
            for reader, folder in value.items():
                typed += ["--rater", f"{reader}={folder}"]
        elif value is True:
            typed.append(f"--{name}")
        elif value is False:
            typed += [f"--no-{name}"] if name in ("pretrained", "measurements", "calibration") else []
        else:
            for each in value if isinstance(value, list) else [value]:
                typed += [f"--{name}", str(each)]
    return typed
