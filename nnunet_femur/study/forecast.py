"""Forecast of a study: the jobs that would run, their durations by earlier runs or measurements, and disk space."""

from __future__ import annotations

import csv
import math
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.dataset.raw import CASES_CSV
from nnunet_femur.planning.planners import planner_name
from nnunet_femur.study.engine import engine_of
from nnunet_femur.study.job_records import Records
from nnunet_femur.study.jobs import jobs_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from nnunet_femur.study.commands import Job
    from nnunet_femur.study.methods import Method
    from nnunet_femur.study.study_file import Study


_TRAINING_MINUTES = {"ResNet34": 14, "ResNet50": 22, "DeepLabV3": 30, "MobileNetV3": 11}
_TRAINING_MINUTES_PLUSPLUS = {"ResNet34": 28, "ResNet50": 61, "DeepLabV3": 70, "MobileNetV3": 15}
"""Training of the study's 2D networks in minutes, on a GPU of Google Colab.

The study's DeepLabV3 is our MobileNetV3; the minutes of ours are a guess.
"""

_TRAINING_STEPS = 3_000
"""Steps of these trainings: five passes over the slices with femur of 24 cases, in batches of 16."""

_VOLUME_STEP_S = {"cuda": 2.4, "cpu": 90.0, "mps": 10.0}
"""Seconds of a step of nnU-Net's network of default size.

On a GPU: 200 min for 20 epochs of 250 steps in the study. On a CPU: 11 s for an eighth of a usual patch, measured.
"""

_RESIDUAL_SLOWDOWN = {"nnUNetPlannerResEncL": 2.9, "nnUNetPlannerResEncXL": 5.5}
"""Time of a training with nnU-Net's larger residual encoders relative to ResEncM, which takes about as long as the
default: 12, 35 and 66 h on an A100, by nnU-Net's documentation."""

_SLICE_SLOWDOWN = {"cuda": 1.0, "mps": 5.0, "cpu": 30.0}
"""Time of a step of a 2D network relative to the study's GPU; measured with ResNet34 on two CPU cores."""

_BATCH_PIXELS = 256 * 256 * 16
"""Pixels in a batch of the study's 2D trainings."""

_PARAMETERS = {"ResNet34": 25e6, "ResNet50": 40e6, "DeepLabV3": 44e6, "MobileNetV3": 7e6}
_VOLUME_PARAMETERS = 31e6
"""Parameters of the 2D networks by encoder, and of nnU-Net's network of default size."""

_CASE_S = {
    "phantoms": 0.2,
    "convert": 3.0,
    "plan": 10.0,
    "validate": 15.0,
    "predict": 15.0,
    "baseline": 60.0,
    "ensemble": 3.0,
    "select": 1.0,
    "compare": 0.7,
}
"""Seconds of a case of the study's size (of a prediction, for the last three), with a GPU where it is used."""

_CPU_SLOWDOWN = {"validate": 4.0, "predict": 4.0, "baseline": 5.0}
"""Time of a case without a GPU relative to the time with one."""

_START_S = {
    "phantoms": 1,
    "convert": 2,
    "plan": 12,
    "train": 15,
    "validate": 15,
    "predict": 12,
    "baseline": 20,
    "ensemble": 12,
    "select": 12,
    "compare": 12,
}
"""Seconds until a command has started."""

_CASE_VOXELS = 300 * 336 * 256
"""Voxels of a case of the study's size."""


@dataclass(frozen=True)
class Size:
    """Size of a study's data.

    Attributes:
        training: Cases of the training and validation set.
        test: Cases of the test set.
        voxels: Voxels of a case.
    """

    training: int
    test: int
    voxels: float

    @property
    def validation(self) -> float:
        """Number of validation cases of a fold: 8 of 32 in the study."""
        return self.training / 4

    @property
    def cases(self) -> int:
        """Number of all cases."""
        return self.training + self.test


def print_plan(study: Study, *, cores: int | None = None, profile: str | None = None) -> None:
    """Print the jobs that would run, the reason of each, and their costs; run nothing.

    Args:
        study: The study.
        cores: CPUs to use; None: all that this process may use.
        profile: "slurm", or a folder with a Snakemake profile; None for this machine.

    Example:
        >>> from nnunet_femur.study import read_study, write_preset
        >>> write_preset("demo.yaml", "demo")
        >>> print_plan(read_study("demo.yaml"))
        job       reason        time
        phantoms  not done yet  1 s
        convert   not done yet  ... s
        ...
        8 of 8 jobs. One after the other they take about ...
    """
    from rich.console import Console
    from rich.table import Table

    engine = engine_of(study, cores=cores, profile=profile)
    jobs = jobs_of(study, device=engine.device)
    records = Records(study.records)
    due = engine.due(jobs.values())
    outdated = records.outdated(jobs.values())
    measured = _measured_seconds(records, jobs)
    size = size_of(study)
    table = Table(box=None, pad_edge=False)
    for column in ("job", "reason", "time"):
        table.add_column(column, overflow="fold")
    total_s = total_bytes = 0.0
    for name in (name for name in jobs if name in due):
        seconds = measured.get(name) or seconds_of(jobs[name], study, size, engine.device)
        total_s += seconds
        total_bytes += bytes_of(jobs[name], study, size)
        reason = outdated.get(name) or _reason(jobs[name], records, due)
        table.add_row(name, reason or due[name], _duration(seconds))
    console = Console(highlight=False)
    if not due:
        console.print(f"Nothing to do: all {len(jobs)} jobs are up to date.")
        return
    console.print(table)
    basis = "jobs of this study that have run and, for others, " if measured else ""
    on = "of the study's GPU (Google Colab)" if engine.device == "cuda" else "of two CPU cores"
    console.print(
        f"\n{len(due)} of {len(jobs)} jobs. One after the other they take about {_duration(total_s)}, estimated from "
        f"{basis}measurements {on}; expect a factor of 3 either way. They write about {total_bytes / 1e9:.1f} GB to "
        f"{study.folder}, where {_free_bytes(study.folder) / 1e9:.0f} GB are free."
    )


def size_of(study: Study) -> Size:
    """Return the size of the converted dataset; before the conversion that of its phantoms, or of the study's data."""
    try:
        with (study.raw / CASES_CSV).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        sizes = [math.prod(int(number) for number in row["size"].replace("x", " ").split()) for row in rows]
        test = sum(row["set"] == "test" for row in rows)
        return Size(len(rows) - test, test, sum(sizes) / len(sizes))
    except (OSError, KeyError, ValueError, ZeroDivisionError):
        if study.phantoms is not None:
            return Size(study.phantoms - study.phantoms // 5, study.phantoms // 5, 96 * 64 * 64)
        return Size(32, 8, _CASE_VOXELS)


def seconds_of(job: Job, study: Study, size: Size, device: str) -> float:
    """Return a rough estimate of a job's duration in seconds, good enough to distinguish minutes from days.

    Args:
        job: The job.
        study: The study of the job.
        size: Size of the study's data.
        device: Device of jobs that use a GPU if there is one.
    """
    start = _START_S[job.stage]
    if job.stage == "train":
        return start + _training_s(_method(job, study), study, size, device)
    cases = {
        "validate": size.validation,
        "predict": size.test,
        "ensemble": (size.validation + size.test) * len(job.settings.get("members", ())),
        "select": size.validation * len(job.settings.get("candidates", ())),
        "compare": size.test * max(len(study.methods) + len(study.end.ensembles), 1),
    }.get(job.stage, size.cases)
    slowdown = _CPU_SLOWDOWN.get(job.stage, 1.0) if device == "cpu" else 1.0
    return start + cases * _CASE_S[job.stage] * slowdown * size.voxels / _CASE_VOXELS


def bytes_of(job: Job, study: Study, size: Size) -> float:
    """Return an estimate of the bytes that a job writes to disk."""
    if job.stage == "train":
        method = _method(job, study)
        encoder = _encoder(method.trainer)
        # Weights and Adam's two moments in float32, in two checkpoints.
        return 2 * 12 * (_VOLUME_PARAMETERS if encoder is None else _PARAMETERS[encoder])
    voxels = {
        "phantoms": size.cases * 2.0,
        "convert": size.cases * 1.0,
        # Four bytes for the image and one or two for the mask, compressed, in each configuration.
        "plan": size.training * 4.0 * len(study.plans.get(job.label, {}).get("configuration", ["3d_fullres"])),
        # Two probabilities of four bytes in each voxel, compressed.
        "validate": size.validation * 1.0,
        "ensemble": (size.validation + size.test) * 0.02,
    }
    if job.label.startswith("probabilities-"):
        return size.test * 1.0 * size.voxels
    return voxels.get(job.stage, size.test * 0.02) * size.voxels


def _training_s(method: Method, study: Study, size: Size, device: str) -> float:
    recipe = _recipe(method, study)
    encoder = _encoder(method.trainer)
    # Small networks have a quarter of the features and an eighth of the patch.
    small = study.plans[method.plans].get("preset") == "small"
    if encoder is None:
        step_s = _VOLUME_STEP_S[device] / (100 if small else 1)
        step_s *= _RESIDUAL_SLOWDOWN.get(planner_name(study.plans[method.plans].get("planner", "")), 1.0)
        return step_s * (_stock_steps(method.trainer) or recipe["epochs"] * recipe["iterations_per_epoch"])
    minutes = (_TRAINING_MINUTES_PLUSPLUS if "PlusPlus" in method.trainer else _TRAINING_MINUTES)[encoder]
    pixels = recipe["batch_size"] * math.prod(recipe["slice_size"])
    step_s = minutes * 60 / _TRAINING_STEPS * _SLICE_SLOWDOWN[device] * pixels / _BATCH_PIXELS
    steps = recipe["iterations_per_epoch"] or _batches_per_pass(
        size, recipe["batch_size"], ends_only="Head" in method.trainer
    )
    return step_s * recipe["epochs"] * steps


def _stock_steps(trainer: str) -> int | None:
    """Return the steps of a trainer of nnU-Net, which reads no recipe; None for other trainers."""
    if not trainer.startswith("nnUNetTrainer"):
        return None
    epochs = re.search(r"_(\d+)epochs?(?![a-zA-Z0-9])", trainer)
    return (int(epochs[1]) if epochs else 1000) * 250


def _batches_per_pass(size: Size, batch: int, *, ends_only: bool) -> float:
    """Return the number of batches in one pass over the slices with femur."""
    edge = size.voxels ** (1 / 3)
    # In a volume of the study 300 axial slices contain femur, and a third of the slices of either other plane.
    return size.training * 0.75 * (40 if ends_only else edge * 1.7) / batch


def _recipe(method: Method, study: Study) -> dict:
    from nnunet_femur.planning.training_presets import PRESETS, recipe_of
    from nnunet_femur.recipe.hyperparameters import RECIPE_KEY, Recipe
    from nnunet_femur.recipe.recipe_checks import RECIPES, recipe_of_configuration

    options = study.plans[method.plans]
    written = recipe_of(
        PRESETS[options.get("preset", "default")],
        epochs=options.get("epochs"),
        iterations=options.get("iterations"),
        pretrained=True,
        changes={**options.get("recipe", {}), method.trainer: dict(method.recipe)},
    )
    known = RECIPES.get(method.trainer, Recipe)
    return recipe_of_configuration(known, {RECIPE_KEY: written}, method.trainer).as_dict()


def _method(job: Job, study: Study) -> Method:
    return next(each for each in study.methods if job.label.startswith(f"{each.name}-"))


def _encoder(trainer: str) -> str | None:
    """Return the encoder of a 2D trainer of this package; None for networks of volumes."""
    if trainer == "FemurThreePlaneTrainer":
        return "ResNet34"
    return next((name for name in _PARAMETERS if trainer.endswith(f"{name}Trainer")), None)


def _measured_seconds(records: Records, jobs: Mapping[str, Job]) -> dict[str, float]:
    """Return the seconds of jobs that were done before, and of trainings of which another fold was done."""
    took: dict[str, list[float]] = {}
    for job in jobs.values():
        status = records.status(job)
        if status is not None and status.state == "done":
            took.setdefault(_without_fold(job), []).append(status.seconds)
    return {name: sum(times) / len(times) for name, job in jobs.items() if (times := took.get(_without_fold(job)))}


def _without_fold(job: Job) -> str:
    """Return the name of a job without its fold, which all folds of a method share."""
    return job.name.partition("-fold_")[0]


def _reason(job: Job, records: Records, due: Collection[str]) -> str:
    """Return the reason why a job is due; empty if the records of jobs do not contain it."""
    status = records.status(job)
    if status is not None and status.state != "done":
        return "failed before" if status.state == "failed" else "was interrupted"
    if not records.done(job).exists():
        return "not done yet"
    before = [name for name in job.after if name in due]
    return f"after {before[0]}" if before else ""


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(next(each for each in (folder, *folder.parents) if each.exists())).free
