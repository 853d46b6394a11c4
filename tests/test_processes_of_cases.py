"""The same results with any number of processes, and what becomes of a case that kills one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnunet_femur.processes import each

pytestmark = pytest.mark.integration


def square(number: int) -> int:
    return number * number


def process_of(number: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def square_or_die(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return square(number)


def fail(number: int) -> int:
    if number == 2:
        msg = "two"
        raise ValueError(msg)
    return number


def _lost(number: int) -> int:
    return -number


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_item_once(jobs):
    done = dict(each(square, range(5), jobs=jobs, crashed=_lost))
    assert done == {0: 0, 1: 1, 2: 4, 3: 9, 4: 16}


def test_one_job_is_this_process_and_two_are_others():
    assert set(dict(each(process_of, range(3), jobs=1, crashed=_lost)).values()) == {os.getpid()}
    others = set(dict(each(process_of, range(12), jobs=2, crashed=_lost)).values())
    assert len(others) == 2
    assert os.getpid() not in others


def test_a_case_that_kills_its_process_takes_no_other_with_it():
    done = dict(each(square_or_die, range(6), jobs=2, crashed=_lost))
    assert done == {0: 0, 1: 1, 2: 4, 3: -3, 4: 16, 5: 25}


def test_an_exception_ends_it():
    with pytest.raises(ValueError, match="two"):
        list(each(fail, range(5), jobs=2, crashed=_lost))


ORPHANS = """
import sys, time, os
sys.path[:0] = {path!r}
from tests.test_processes_of_cases import linger
from nnunet_femur.processes import each
if __name__ == "__main__":
    list(each(linger, [sys.argv[1]] * 2, jobs=2, crashed=linger))
"""


def linger(folder: str) -> None:
    with open(os.path.join(folder, str(os.getpid())), "w"):  # noqa: PTH118, PTH123
        time.sleep(60)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_processes_end_with_a_killed_parent(tmp_path):
    """Or they would go on writing into the folder of the next run."""
    script = tmp_path / "parent.py"
    script.write_text(ORPHANS.format(path=[str(Path(__file__).parents[1])]))
    (tmp_path / "pids").mkdir()
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path / "pids")])
    _until(lambda: len(list((tmp_path / "pids").iterdir())) == 2)
    parent.kill()
    parent.wait()
    _until(lambda: not any(os.path.exists(f"/proc/{path.name}") for path in (tmp_path / "pids").iterdir()))  # noqa: PTH110


def _until(true, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)
