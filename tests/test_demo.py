"""`nnfemur demo`: killed on the way, resumed, and run again when all is done."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

SIZE = ("--cases", "7", "--epochs", "1", "--iterations", "2")


def _demo(folder: Path) -> list[str]:
    return [sys.executable, "-m", "nnunet_femur", "demo", str(folder), *SIZE]


def _kill_when(folder: Path, exists: str) -> None:
    """Start the demo and kill it, without a chance to clean up, once a file is there."""
    with subprocess.Popen(_demo(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 240
        while not list(folder.glob(exists)) and time.monotonic() < until:
            assert process.poll() is None, f"the demo ended before {exists} was there"
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)


def _state(folder: Path) -> dict[str, int]:
    """When each file of the results was written, the comparison's own aside."""
    results = folder / "nnUNet_results" / "Dataset001_Femur"
    return {str(path): path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()}


def test_killed_resumed_and_run_again(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    _kill_when(folder, "nnUNet_raw/.Dataset001_Femur.partial/imagesTr/*.nrrd")
    _kill_when(folder, "nnUNet_results/*/FemurUnet*/fold_0/training_log*.txt")
    _kill_when(folder, "nnUNet_results/*/FemurUnet*/fold_0/test.partial")
    finished = subprocess.run(_demo(folder), capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    report = Path(finished.stdout.strip().splitlines()[-1])
    assert report.is_file()
    assert report.is_relative_to(folder)
    assert "FemurScratch" in report.read_text(encoding="utf-8")
    scores = (report.parent / "scores.csv").read_text(encoding="utf-8")
    assert not list(folder.rglob("*.partial*")), "nothing half written is left"

    before, start = _state(folder), time.monotonic()
    again = subprocess.run(_demo(folder), capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert time.monotonic() - start < 60, "a second run trains nothing"
    assert _state(folder) == before
    assert (report.parent / "scores.csv").read_text(encoding="utf-8") == scores
