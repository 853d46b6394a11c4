"""Presets of study files, and the demo, which runs the preset of phantoms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from nnunet_femur.arguments import require_one_of
from nnunet_femur.atomic_files import cannot_write, write_text
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.progress import SILENT
from nnunet_femur.records import read_mapping
from nnunet_femur.study.run import run_study

if TYPE_CHECKING:
    from nnunet_femur.progress import Progress
    from nnunet_femur.study.run import StudyResult


PRESETS = ("template", "paper", "quick", "nnunet", "demo")
"""Names of the presets: every option, the study's fourteen methods, a first comparison, nnU-Net's own, and phantoms."""

FILE = "study.yaml"
"""Name of the demo's study in its folder."""

_SOURCE = "source: ~/source"
"""Line of a preset that names the source folder."""


def preset_text(name: str) -> str:
    """Return the text of a preset, which is YAML.

    Args:
        name: One of :data:`PRESETS`.

    Raises:
        InputError: The preset does not exist (code "invalid-option").

    Example:
        >>> "FemurScratchTrainer" in preset_text("demo")
        True
    """
    require_one_of("preset", name, PRESETS)
    return resources.files("nnunet_femur.study").joinpath("templates", f"{name}.yaml").read_text(encoding="utf-8")


def write_preset(file: str | Path, name: str, *, source: str | Path | None = None) -> None:
    """Write the file of a preset, to change and run.

    Args:
        file: The file to write.
        name: One of :data:`PRESETS`.
        source: Folder or table of CTs and masks to name in the file.

    Raises:
        InputError: The preset does not exist or takes no source (code "invalid-option"), or the file exists (code
            "exists").
        SetupError: The file cannot be written (code "cannot-write").

    Example:
        >>> write_preset("femur.yaml", "quick", source="source")
    """
    path, text = Path(file), preset_text(name)
    if source is not None and _SOURCE not in text:
        msg = f"The preset {name} makes its own data. Remove the source, or choose another preset."
        raise InputError(msg, code="invalid-option")
    if path.exists():
        msg = f"{path}: exists already. Choose another name, or remove the file."
        raise InputError(msg, code="exists")
    if source is not None:
        # A JSON string is a YAML string too, whatever characters the path contains.
        text = text.replace(
            _SOURCE, f"source: {json.dumps(str(Path(source).expanduser().resolve()), ensure_ascii=False)}"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise cannot_write(path, error) from error


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
        SetupError: The folder cannot be created (code "cannot-write").
        JobsFailedError: A job failed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{folder}: cannot be created ({error.strerror}). Choose another folder."
        raise SetupError(msg, code="cannot-write") from error
    file = folder / FILE
    if not file.exists():
        write_text(file, _demo_text(size or DemoSize()))
    elif size is not None and read_mapping(file) != yaml.safe_load(_demo_text(size)):
        msg = f"{file}: is a study of another size. Choose another folder, or run it: nnfemur study {file}"
        raise InputError(msg, code="exists")
    return run_study(file, progress=progress)


def _demo_text(size: DemoSize) -> str:
    """Return the preset of the demo, changed to this size."""
    options = "".join(
        f", {name}: {value}" for name, value in (("epochs", size.epochs), ("iterations", size.iterations)) if value
    )
    text = preset_text("demo").replace("phantoms: 12", f"phantoms: {size.cases}")
    return text.replace("preset: small", f"preset: small{options}")
