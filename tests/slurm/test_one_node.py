"""The demo's study through a real SLURM of one node: complete, repeated, killed and continued, interrupted, refused.

Takes about twelve minutes on one core. As root on Debian: ``apt-get install slurm-wlm munge``, then
``uv run --extra slurm pytest -n 0 tests/slurm``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
import pytest
import yaml

from nnunet_femur.study import preset_text, read_study
from nnunet_femur.study.commands import script
from nnunet_femur.study.jobs import jobs_of
from nnunet_femur.study.slurm import name_of
from tests.slurm.one_node import missing, one_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_REASON = missing() or (
    "" if importlib.util.find_spec("snakemake_executor_plugin_slurm") else "run it by: uv run --extra slurm pytest"
)
pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800), pytest.mark.skipif(bool(_REASON), reason=_REASON)]

STAGES = ("phantoms", "convert", "plan", "train", "predict", "compare")
TRAINED = "train-FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres-fold_0"
CANCELLED = "train-FemurScratchTrainer__nnUNetPlans__3d_fullres-fold_0"


class InSlurm(NamedTuple):
    """A job in SLURM's list."""

    number: str
    state: str
    rule: str
    start: str
    end: str
    gpus: str


@pytest.fixture(scope="module")
def node() -> Iterator[None]:
    with one_node(cpus=2, memory_mb=8_000):
        yield


@pytest.fixture(scope="module")
def study(node: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small study of the demo that is finished."""
    content = yaml.safe_load(preset_text("demo").replace("phantoms: 12", "phantoms: 6"))
    content["plans"]["nnUNetPlans"] |= {"epochs": 2, "iterations": 2}
    each = {"mem_mb": 3_000, "minutes": 20, "cpus": 1}
    content["cluster"] = {"partition": "short", "resources": {stage: dict(each) for stage in STAGES}}
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    ended = run(folder)
    assert ended.returncode == 0, ended.stderr + (folder / "study" / "engine.log").read_text()
    return folder


def test_every_job_of_the_study_is_one_of_slurm(study: Path) -> None:
    rules = {job.rule for job in jobs_of(read_study(study / "study.yaml")).values()}
    assert {stage for stage in STAGES if any(rule.startswith(stage) for rule in rules)} == set(STAGES)
    jobs = in_slurm(study)
    assert sorted(job.rule for job in jobs) == sorted(rules)
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert (study / "nnUNet_results" / "comparison" / "report.html").is_file()


def test_a_second_call_submits_nothing(study: Path) -> None:
    before = in_slurm(study)
    ended = run(study)
    assert ended.returncode == 0, ended.stderr
    assert in_slurm(study) == before


def test_a_study_killed_in_training_ends_with_the_same_scores(study: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(study, tmp_path / "killed")
    without_trainings(folder)
    process = subprocess.Popen(command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: all(epochs(folder, name) for name in (TRAINED, CANCELLED)))
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = {job.rule: job for job in in_slurm(folder) if job.state == "RUNNING"}
    assert sorted(left) == sorted(
        jobs_of(read_study(folder / "study.yaml"))[name].rule for name in (TRAINED, CANCELLED)
    )
    # One continues without the engine and ends; the other is cancelled, as if its node had failed.
    subprocess.run(["scancel", left[CANCELLED.replace("-", "_")].number], check=True)

    ended = run(folder)
    assert ended.returncode == 0, ended.stderr
    assert epochs(folder, TRAINED) == ["Epoch 0", "Epoch 1"]
    assert list(epochs(folder, CANCELLED))[-1] == "Epoch 1"
    for rule in left:
        first, second = sorted((job for job in in_slurm(folder) if job.rule == rule), key=lambda job: int(job.number))
        assert first.end <= second.start
    pd.testing.assert_frame_equal(scores(folder), scores(study), rtol=1e-4)


def test_an_interrupted_study_leaves_nothing_in_the_queue(study: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(study, tmp_path / "interrupted")
    (folder / "study" / "done" / "compare.json").unlink()
    process = subprocess.Popen(command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: bool(in_slurm(folder)))
    process.send_signal(signal.SIGINT)
    assert process.wait(120) != 0
    until(lambda: {job.state for job in in_slurm(folder)} == {"CANCELLED"})


def test_jobs_that_train_get_the_gpu_one_after_the_other(study: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(study, tmp_path / "gpu")
    without_trainings(folder)
    content = yaml.safe_load((folder / "study.yaml").read_text())
    content["cluster"]["gres"] = "gpu:1"
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    run(folder)  # SLURM assigns a placeholder for a GPU; without a real one, the trainings fail
    first, second = (job for job in in_slurm(folder) if job.rule.startswith("train"))
    assert {job.gpus for job in (first, second)} == {"gres:gpu:1"}
    assert first.end <= second.start
    status = json.loads((folder / "study" / "jobs" / f"{TRAINED}.json").read_text())
    assert status["command"][-2:] == ["-device", "cuda"]


def test_a_refusal_of_slurm_is_reported(study: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(study, tmp_path / "refused")
    (folder / "study" / "done" / "compare.json").unlink()
    content = yaml.safe_load((folder / "study.yaml").read_text())
    content["cluster"]["resources"]["compare"]["mem_mb"] = 900_000
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    ended = run(folder)
    assert ended.returncode == 1
    assert "SLURM refused it: Memory specification can not be satisfied" in " ".join(ended.stderr.split())


def command(folder: Path) -> list[str]:
    return [script("nnfemur"), "study", str(folder / "study.yaml"), "--profile", "slurm"]


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    wide = {**os.environ, "COLUMNS": "400"}
    return subprocess.run(command(folder), check=False, text=True, capture_output=True, timeout=900, env=wide)


def in_slurm(folder: Path) -> list[InSlurm]:
    """Return all jobs that SLURM ever had of a study, by their number."""
    asked = ["squeue", "--noheader", "--states=all", "--format", "%A|%T|%k|%S|%e|%b|%j"]
    rows = [line.split("|") for line in subprocess.check_output(asked, text=True).splitlines()]
    jobs = (
        InSlurm(*row[:2], row[2].removeprefix("rule_"), *row[3:6]) for row in rows if row[6].startswith(name_of(folder))
    )
    return sorted(jobs, key=lambda job: int(job.number))


def without_trainings(folder: Path) -> None:
    """Reset a study to its state before the first training."""
    shutil.rmtree(folder / "nnUNet_results")
    for stage in ("train", "predict", "compare"):
        for file in folder.glob(f"study/*/{stage}*"):
            file.unlink()


def epochs(folder: Path, name: str) -> list[str]:
    """Return the epochs that a training has started, in the order of its log."""
    log = folder / "study" / "logs" / f"{name}.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [line.split(": ")[-1].strip() for line in lines if line.rstrip().rpartition(" ")[0].endswith("Epoch")]


def until(ready: Callable[[], bool]) -> None:
    for _ in range(1_500):
        if ready():
            return
        time.sleep(0.2)
    pytest.fail("still not ready")


def scores(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "nnUNet_results" / "comparison" / "scores.csv")
    return table.sort_values([name for name in table.columns if name != "value"], ignore_index=True)
