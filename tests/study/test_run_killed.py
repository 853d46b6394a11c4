"""`nnfemur study` for real: killed at several points and continued, it has the scores of an undisturbed one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from nnunet_femur.records import read_json
from nnunet_femur.study import run_study
from tests.killing import kill_once

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

STUDY = """
folder: work
dataset: {phantoms: 7}
plans:
  nnUNetPlans: {preset: small, epochs: 2, iterations: 2, jobs: 1}
folds: [0]
methods: [FemurUnetMobileNetV3Trainer]
threads: 1
"""

TRAINED = "train-FemurUnetMobileNetV3Trainer__nnUNetPlans__3d_fullres-fold_0"


def _command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "nnunet_femur", "study", str(folder / "study.yaml"), *options]


def _run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(folder, *options), capture_output=True, text=True, check=False)


def _kill_when(folder: Path, exists: str) -> None:
    kill_once(lambda: any(folder.glob(exists)), _command(folder), within_s=240)


def _scores(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "work" / "nnUNet_results" / "comparison" / "scores.csv")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "study.yaml").write_text(STUDY)
    ended = _run(folder)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == str(folder / "work" / "nnUNet_results" / "comparison" / "report.html")
    assert "FemurUnetMobileNetV3" in ended.stdout
    return folder


class TestFinished:
    def test_has_a_record_of_every_job(self, undisturbed: Path) -> None:
        done = {path.stem: read_json(path) for path in (undisturbed / "work" / "study" / "done").glob("*.json")}
        assert {name.partition("-")[0] for name in done} == {
            "phantoms", "convert", "plan", "train", "predict", "compare"
        }  # fmt: skip
        assert all(record["seconds"] > 0 and record["peak_memory_mib"] > 0 for record in done.values())

    def test_runs_nothing_again(self, undisturbed: Path) -> None:
        before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("nnUNet_*/**/*") if path.is_file()}
        again = _run(undisturbed)
        assert again.returncode == 0, again.stderr
        assert "FemurUnetMobileNetV3" in again.stdout
        assert {path: path.stat().st_mtime_ns for path in before} == before

    def test_a_failing_method_leaves_the_others_alone(self, undisturbed: Path) -> None:
        """Its plans are not those that it needs; the other method stays done, and the reason is given."""
        other = undisturbed / "other.yaml"
        both = "[FemurUnetMobileNetV3Trainer, FemurFinetuneTrainer]"
        other.write_text(STUDY.replace("[FemurUnetMobileNetV3Trainer]", both))
        ended = subprocess.run(
            [sys.executable, "-m", "nnunet_femur", "study", str(other)],
            capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "300"},
        )  # fmt: skip
        assert ended.returncode == 1
        failed = [line.split(":")[0].strip() for line in ended.stderr.splitlines() if line.startswith("  ")]
        assert [name.partition("__")[0] for name in failed if "-" in name or name == "compare"] == [
            "train-FemurFinetuneTrainer",
            "predict-FemurFinetuneTrainer",
            "compare",
        ]
        waiting = [line for line in ended.stderr.splitlines() if line.startswith("  predict-FemurFinetuneTrainer")]
        assert any("train-FemurFinetuneTrainer" in line for line in waiting)
        assert "Traceback" not in ended.stderr
        status = read_json(undisturbed / "work" / "study" / "jobs" / f"{TRAINED}.json")
        assert status["state"] == "done"


class TestPython:
    def test_a_finished_study_has_a_result(self, undisturbed: Path) -> None:
        result = run_study(undisturbed / "study.yaml")
        assert (result.done, result.failed, result.up_to_date) == ((), (), 6)
        assert set(result.scores["method"]) == {"FemurUnetMobileNetV3Trainer__nnUNetPlans__3d_fullres"}


def test_killed_and_resumed_equals_undisturbed(undisturbed: Path, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    _kill_when(tmp_path, "work/nnUNet_raw/.Dataset001_Femur.partial")
    _kill_when(tmp_path, "work/nnUNet_results/*/*/fold_0/checkpoint_latest.pth")
    _kill_when(tmp_path, "work/nnUNet_results/*/*/fold_0/test.partial")
    finished = _run(tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert not list(tmp_path.rglob("*.partial*")), "nothing half written is left"
    old, new = (_scores(folder) for folder in (undisturbed, tmp_path))
    keys = [name for name in old.columns if name != "value"]
    pd.testing.assert_frame_equal(
        old.sort_values(keys, ignore_index=True), new.sort_values(keys, ignore_index=True), rtol=1e-5
    )
    run = next(tmp_path.glob("work/nnUNet_results/*/*/fold_0/run.json"))
    assert json.loads(run.read_text())["epochs_done"] == 2
    logs = (tmp_path / "work" / "study" / "logs" / f"{TRAINED}.log").read_text()
    assert logs.count("\n$ ") == 2, "trained by two runs: the one that was killed, and the one that went on"
    assert " --c" in logs
