"""The demo: a study on phantoms, by the preset `demo`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from nnunet_femur.atomic_files import write_text
from nnunet_femur.errors import InputError
from nnunet_femur.progress import SILENT
from nnunet_femur.records import read_mapping
from nnunet_femur.study.presets import preset_text
from nnunet_femur.study.run import run_study

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_femur.progress import Progress
    from nnunet_femur.study.run import StudyResult

FILE = "study.yaml"
"""Name of the demo's study in its folder."""


@dataclass(frozen=True)
class DemoSize:
    """Size of the demo; the defaults fit two CPU cores and six minutes.

    Attributes:
        cases: Number of phantoms.
        epochs: Epochs of both trainers; None for those of the small preset.
        iterations: Iterations in an epoch; None for those of the small preset.
    """

    cases: int = 12
    epochs: int | None = None
    iterations: int | None = None


def run_demo(folder: Path, *, size: DemoSize | None = None, progress: Progress = SILENT) -> StudyResult:
    """Run all jobs of the demo that are not up to date.

    Args:
        folder: Folder of everything that is written; the same folder continues an earlier run.
        size: Size of the demo; None for that of an earlier run in this folder, or for the defaults.
        progress: Receives the progress.

    Returns:
        The result of the demo's study.

    Raises:
        InputError: The folder contains a demo of another size (code "exists").
        JobsFailedError: A job failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    if not file.exists():
        write_text(file, _text(size or DemoSize()))
    elif size is not None and read_mapping(file) != yaml.safe_load(_text(size)):
        msg = f"{file}: is a study of another size. Choose another folder, or run it: nnfemur study {file}"
        raise InputError(msg, code="exists")
    return run_study(file, progress=progress)


def _text(size: DemoSize) -> str:
    """Return the preset with this size."""
    options = "".join(
        f", {name}: {value}" for name, value in (("epochs", size.epochs), ("iterations", size.iterations)) if value
    )
    text = preset_text("demo").replace("phantoms: 12", f"phantoms: {size.cases}")
    return text.replace("preset: small", f"preset: small{options}")
