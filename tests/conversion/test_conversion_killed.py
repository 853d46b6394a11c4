"""kill -9 at any point of a conversion, then run again: the same dataset, nothing half written."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.conversion import convert
from nnunet_femur.progress import Silent

pytestmark = pytest.mark.integration

if TYPE_CHECKING:
    from pathlib import Path

# Ends the process as kill -9 does, before the n-th time that something is renamed or removed: the steps that count.
DIES_AT_STEP = """
import os, shutil, sys
from pathlib import Path
from nnunet_femur.conversion import convert

steps = int(sys.argv[3])

def dying(function):
    def wrapped(*args, **kwargs):
        global steps
        steps -= 1
        if steps < 0:
            os._exit(9)
        return function(*args, **kwargs)
    return wrapped

for name in ("replace", "rename", "unlink"):
    setattr(Path, name, dying(getattr(Path, name)))
shutil.rmtree = dying(shutil.rmtree)
convert(Path(sys.argv[1]), dataset_id=1, raw=Path(sys.argv[2]), seed=int(sys.argv[4]))
print(steps)
"""


def _dying(source: Path, raw: Path, steps: int, *, seed: int = 0) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", DIES_AT_STEP, str(source), str(raw), str(steps), str(seed)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _steps(source: Path, raw: Path, *, seed: int = 0) -> int:
    """The number of steps of an undisturbed run."""
    done = _dying(source, raw, 1_000_000, seed=seed)
    return 1_000_000 - int(done.stdout)


def _visible(raw: Path) -> list[str]:
    return [path.name for path in raw.glob("[!.]*")]


def test_first_conversion_killed_at_every_fourth_step(hospital, raw, tmp_path, tree):
    hospital.add_patients()
    undisturbed = tmp_path / "undisturbed"
    total = _steps(hospital.folder, undisturbed)
    expected = tree(undisturbed)
    assert _visible(undisturbed) == ["Dataset001_Femur"]
    # Each kill strikes what the one before has left, and dies further on.
    for step in range(0, total, 4):
        assert _dying(hospital.folder, raw, step).returncode in (0, 9)
        assert all(len(tree(raw / name)) == len(expected) for name in _visible(raw))
    convert(hospital.folder, dataset_id=1, raw=raw)
    assert tree(raw) == expected


def test_replacement_killed_around_the_swap(hospital, raw, tmp_path, tree):
    old = convert(hospital.add_patients().folder, dataset_id=1, raw=raw).folder
    old_tree = tree(old)
    new_tree = tree(convert(hospital.folder, dataset_id=1, raw=tmp_path / "new", seed=1).folder)
    convert(hospital.folder, dataset_id=1, raw=tmp_path / "count")
    total = _steps(hospital.folder, tmp_path / "count", seed=1)
    for step in range(total - 8, total):
        convert(hospital.folder, dataset_id=1, raw=raw, seed=0)
        assert tree(raw) == {f"{old.name}/{name}": content for name, content in old_tree.items()}
        assert _dying(hospital.folder, raw, step, seed=1).returncode == 9
        assert not old.exists() or tree(old) in (old_tree, new_tree)
        outcome = convert(hospital.folder, dataset_id=1, raw=raw, seed=1)
        assert outcome.written == ()
        assert tree(raw) == {f"{old.name}/{name}": content for name, content in new_tree.items()}


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_killed_by_the_system_at_random_moments(hospital, raw, tmp_path, tree):
    hospital.shape_zyx = (60, 60, 70)
    hospital.add_patients(12)
    started = time.monotonic()
    assert _dying(hospital.folder, tmp_path / "undisturbed", 1_000_000).returncode == 0
    seconds = time.monotonic() - started
    chance = random.Random(0)  # noqa: S311
    for _ in range(3):
        command = [sys.executable, "-c", DIES_AT_STEP, str(hospital.folder), str(raw), "1000000", "0"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.3, 0.9) * seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    convert(hospital.folder, dataset_id=1, raw=raw)
    assert tree(raw) == tree(tmp_path / "undisturbed")


def test_finished_cases_are_not_converted_again(hospital, raw):
    hospital.add_patients()
    total = _steps(hospital.folder, raw.with_name("undisturbed"))
    _dying(hospital.folder, raw, total // 4)
    outcome = convert(hospital.folder, dataset_id=1, raw=raw)
    assert 0 < len(outcome.written) < 6


def test_ctrl_c_leaves_no_dataset(hospital, raw):
    class Interrupted(Silent):
        def advance(self, task, done, *, total=None, note=""):
            if task == "Converting" and done == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(hospital.add_patients().folder, dataset_id=1, raw=raw, progress=Interrupted())
    assert _visible(raw) == []
    outcome = convert(hospital.folder, dataset_id=1, raw=raw)
    assert (len(outcome.written), len(outcome.reused)) == (3, 3)
