"""`nnfemur demo`: killed on the way, resumed, and run again when all is done."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnunet_femur.demo import _progress, _run_stage, _Stage
from nnunet_femur.errors import FemurError
from tests.killing import kill_once


class TestStage:
    def test_output_goes_to_the_log(self, tmp_path: Path) -> None:
        self._run(tmp_path, "print('Epoch 3'); import sys; print('ümlaut', file=sys.stderr)")
        assert (tmp_path / "log").read_text(encoding="utf-8").split() == ["Epoch", "3", "ümlaut"]

    def test_a_failure_names_the_log_and_its_last_lines(self, tmp_path: Path) -> None:
        with pytest.raises(FemurError, match=r"(?s)'try' failed with status 3.*log.*the reason") as caught:
            self._run(tmp_path, "print('the reason'); raise SystemExit(3)")
        assert str(tmp_path / "log") in str(caught.value)

    def test_what_is_done_is_not_done_again(self, tmp_path: Path) -> None:
        (tmp_path / "done").mkdir()
        self._run(tmp_path, "raise SystemExit(1)", done=tmp_path / "done")
        assert not (tmp_path / "log").exists()

    def test_results_appear_whole(self, tmp_path: Path) -> None:
        partial, done = tmp_path / "part", tmp_path / "done"
        partial.mkdir()
        (partial / "of an earlier run").touch()
        write = f"import pathlib; p = pathlib.Path({str(partial)!r}); p.mkdir(); (p / 'new').touch()"
        with pytest.raises(FemurError):
            self._run(tmp_path, f"{write}; raise SystemExit(1)", done=done, partial=partial)
        assert not done.exists()
        self._run(tmp_path, write, done=done, partial=partial)
        assert [path.name for path in done.iterdir()] == ["new"]
        assert not partial.exists()

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
    def test_a_killed_demo_takes_its_stage_with_it(self, tmp_path: Path) -> None:
        beat = tmp_path / "beat"
        forever = f"import time, pathlib\nwhile True: pathlib.Path({str(beat)!r}).touch(); time.sleep(0.02)"
        log = tmp_path / "log"
        code = (
            "import sys, os, pathlib; from nnunet_femur.demo import _run_logged\n"
            f"_run_logged([sys.executable, '-c', {forever!r}], dict(os.environ), pathlib.Path({str(log)!r}), id)"
        )
        kill_once(beat.exists, [sys.executable, "-c", code], within_s=30)
        time.sleep(0.2)
        last = beat.stat().st_mtime_ns
        time.sleep(0.3)
        assert beat.stat().st_mtime_ns == last

    def _run(self, folder: Path, code: str, *, done: Path | None = None, partial: Path | None = None) -> None:
        stage = _Stage("try", [sys.executable, "-c", code], done=done, partial=partial)
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        with _progress() as progress:
            _run_stage(stage, environment, folder / "log", progress)


SIZE = ("--cases", "7", "--epochs", "1", "--iterations", "2")


def _demo(folder: Path) -> list[str]:
    return [sys.executable, "-m", "nnunet_femur", "demo", str(folder), *SIZE]


def _kill_when(folder: Path, exists: str) -> None:
    """Start the demo and kill it, without a chance to clean up, once a file is there."""
    kill_once(lambda: list(folder.glob(exists)), _demo(folder), within_s=240)


def _state(folder: Path) -> dict[str, int]:
    """When each file of the results was written, the comparison's own aside."""
    results = folder / "nnUNet_results" / "Dataset001_Femur"
    return {str(path): path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()}


@pytest.mark.integration
def test_killed_resumed_and_run_again(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    _kill_when(folder, "nnUNet_raw/.Dataset001_Femur.partial")
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
