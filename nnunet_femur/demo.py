"""The main job on phantoms: every stage by the command that a user would type, each skipped once it is done."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.environment import variables
from nnunet_femur.errors import FemurError
from nnunet_femur.processes import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from rich.progress import Progress, TaskID

DATASET_ID = 1
DATASET = "Dataset001_Femur"
CONFIGURATION = "3d_fullres"
TRAINERS = ("FemurUnetResNet34Trainer", "FemurScratchTrainer")
"""A 2D and a 3D method."""


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


@dataclass(frozen=True)
class _Stage:
    title: str
    command: list[str]
    done: Path | None = None
    """What exists once the stage is done; None for a command that finds out by itself."""
    partial: Path | None = None
    """Where the command writes; renamed to `done` when it has ended well."""


def run_demo(folder: Path, *, size: DemoSize | None = None) -> Path:
    """Run all stages that are not done yet, below `folder`.

    Args:
        folder: Where everything is written; run again with the same folder to resume.
        size: How much is done.

    Returns:
        The report's path.

    Raises:
        FemurError: A stage failed; the message names its log.
    """
    base = folder.expanduser().resolve()
    logs = base / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    environment = os.environ | variables(base) | _for_one_machine()
    stages = list(_stages(base, size or DemoSize(), _device()))
    with _progress() as progress:
        for number, stage in enumerate(stages, start=1):
            _run_stage(stage, environment, logs / f"{number:02d}-{stage.title.replace(' ', '-')}.log", progress)
    # The comparison's own output is what the user came for.
    command = [*_NNFEMUR, "compare", str(base / "nnUNet_results")]
    if subprocess.run(command, env=environment, check=False).returncode != 0:
        msg = f"The comparison failed. Run it again: nnfemur demo {folder}"
        raise FemurError(msg)
    return base / "nnUNet_results" / "comparison" / "report.html"


_NEWS = re.compile(r"Epoch \d+ *$|Pseudo dice .*|[Pp]redicting \S+|Mean Validation Dice.*")

_NNFEMUR = [sys.executable, "-m", "nnunet_femur"]


def _stages(base: Path, size: DemoSize, device: str) -> Iterator[_Stage]:
    drop, raw, results = base / "drop", base / "nnUNet_raw", base / "nnUNet_results"
    schedule = [
        *(["--epochs", str(size.epochs)] if size.epochs else []),
        *(["--iterations", str(size.iterations)] if size.iterations else []),
    ]
    dataset = ["--dataset-id", str(DATASET_ID)]
    yield _Stage("make phantoms", [*_NNFEMUR, "phantoms", str(drop), "--cases", str(size.cases)])
    yield _Stage("convert", [*_NNFEMUR, "convert", str(drop), *dataset])
    plan = ["plan", *dataset, "--preset", "small", "--configuration", CONFIGURATION, "--jobs", "1"]
    yield _Stage("plan and preprocess", [*_NNFEMUR, *plan, *schedule])
    for trainer in TRAINERS:
        model = results / DATASET / f"{trainer}__nnUNetPlans__{CONFIGURATION}" / "fold_0"
        train = [_script("nnUNetv2_train"), DATASET, CONFIGURATION, "0", "-tr", trainer, "-device", device]
        resume = ["--c"] if any(model.glob("checkpoint_*.pth")) else []
        yield _Stage(f"train {trainer}", [*train, *resume], done=model / "run.json")
        partial = model / "test.partial"
        predict = [_script("nnUNetv2_predict"), "-d", DATASET, "-c", CONFIGURATION, "-tr", trainer, "-f", "0"]
        inputs = ["-i", str(raw / DATASET / "imagesTs"), "-o", str(partial)]
        workers = ["-npp", "1", "-nps", "1", "-device", device]
        yield _Stage(f"predict {trainer}", [*predict, *inputs, *workers], done=model / "test", partial=partial)


def _script(name: str) -> str:
    """The command of this Python environment, whatever stands first in PATH."""
    return shutil.which(name, path=sysconfig.get_path("scripts")) or name


def _for_one_machine() -> dict[str, str]:
    """nnU-Net's settings for a small machine: data loaded in the training process, no pool larger than its use.

    Each further process imports nnU-Net anew, which takes longer than all it would do here.
    """
    return {"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "2", "OMP_NUM_THREADS": "1", "nnUNet_compile": "f"}


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description:36}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, TextColumn("[dim]{task.fields[status]}"), console=Console(stderr=True))


def _run_stage(stage: _Stage, environment: dict[str, str], log: Path, progress: Progress) -> None:
    task = progress.add_task(stage.title, total=None, status="")
    if stage.done is not None and stage.done.exists():
        progress.update(task, total=1, completed=1, status="done before")
        return
    if stage.partial is not None:
        shutil.rmtree(stage.partial, ignore_errors=True)
    status = _run_logged(stage.command, environment, log, lambda line: _show(line, task, progress))
    if status != 0:
        last = "".join(log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)[-5:])
        msg = f"'{stage.title}' failed with status {status}; the whole output is in {log}. Its last lines:\n{last}"
        raise FemurError(msg)
    if stage.partial is not None and stage.done is not None:
        stage.partial.rename(stage.done)
    progress.update(task, total=1, completed=1, status="")


def _show(line: str, task: TaskID, progress: Progress) -> None:
    """Show what nnU-Net says of how far it is; it prints much else."""
    found = _NEWS.search(line)
    if found:
        progress.update(task, status=found[0].strip())


def _run_logged(command: Sequence[str], environment: dict[str, str], log: Path, on_line: Callable[[str], None]) -> int:
    """Run a command, write its output to `log` line by line, and return its exit status."""
    with log.open("w", encoding="utf-8") as file, running(command, environment) as process:
        for line in process.stdout or ():
            file.write(line)
            file.flush()
            on_line(line)
    return process.returncode
