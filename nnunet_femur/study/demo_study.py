"""The main job on phantoms: a study like any other, by the preset `demo`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from nnunet_femur.atomic_files import write_text
from nnunet_femur.errors import InputError
from nnunet_femur.records import read_mapping
from nnunet_femur.study.checks import read_study
from nnunet_femur.study.presets import preset_text
from nnunet_femur.study.run import print_scores, run_study

if TYPE_CHECKING:
    from pathlib import Path

FILE = "study.yaml"
"""The demo's study, in its folder."""


@dataclass(frozen=True)
class DemoSize:
    """How much the demo does; the defaults fit two CPU cores and six minutes.

    Attributes:
        cases: Number of phantoms.
        epochs: Epochs of both trainers; None for those of the small preset.
        iterations: Iterations in an epoch; None for those of the small preset.
    """

    cases: int = 12
    epochs: int | None = None
    iterations: int | None = None


def run_demo(folder: Path, *, size: DemoSize | None = None) -> Path:
    """Run what is not done yet of the demo's study, and print its scores.

    Args:
        folder: Where everything is written; run again with the same folder to resume.
        size: How much is done; None for what an earlier run in this folder was told, or for the defaults.

    Returns:
        The report's path.

    Raises:
        FemurError: A job failed; what and why has been printed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    if not file.exists():
        write_text(file, _text(size or DemoSize()))
    elif size is not None and read_mapping(file) != yaml.safe_load(_text(size)):
        msg = f"{file}: is a study of another size. Run it by: nnfemur study {file}, or choose another folder."
        raise InputError(msg)
    study = read_study(file)
    report = run_study(study)
    print_scores(study)
    return report


def _text(size: DemoSize) -> str:
    """The preset with this size put in."""
    options = "".join(
        f", {name}: {value}" for name, value in (("epochs", size.epochs), ("iterations", size.iterations)) if value
    )
    text = preset_text("demo").replace("phantoms: 12", f"phantoms: {size.cases}")
    return text.replace("preset: small", f"preset: small{options}")
