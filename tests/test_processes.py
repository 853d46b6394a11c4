"""Programs end with this process, and work for many items gives the same results with any number of processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nnunet_femur import processes
from nnunet_femur.processes import each, running

if TYPE_CHECKING:
    from collections.abc import Callable


class TestRunning:
    def test_output_and_status(self) -> None:
        code = "import sys; print('out', flush=True); print('err', file=sys.stderr); raise SystemExit(3)"
        with running([sys.executable, "-c", code], os.environ) as process:
            lines = list(process.stdout or ())
        assert lines == ["out\n", "err\n"]
        assert process.returncode == 3

    @pytest.mark.skipif(sys.platform == "win32", reason="signals cannot be ignored on Windows")
    def test_a_program_that_ignores_the_request_to_end_is_killed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(processes, "_PATIENCE_S", 0.2)
        code = (
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); "
            "time.sleep(99)"
        )
        with suppress(KeyboardInterrupt), running([sys.executable, "-c", code], os.environ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            raise KeyboardInterrupt
        assert process.returncode == -signal.SIGKILL


def square(number: int) -> int:
    return number * number


def process_of(number: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def square_or_die(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return square(number)


class RefusedNumberError(Exception):
    """An error of the work itself."""


def fail(number: int) -> int:
    if number == 2:
        raise RefusedNumberError
    return number


def linger(folder: str) -> None:
    """Leave a file named by the process id, and wait."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)


def _lost(number: int) -> int:
    return -number


ORPHANS = """
import sys
sys.path[:0] = {path!r}
from tests.test_processes import linger
from nnunet_femur.processes import each
if __name__ == "__main__":
    list(each(linger, [sys.argv[1]] * 2, jobs=2, crashed=linger))
"""


@pytest.mark.integration
class TestEach:
    @pytest.mark.parametrize("jobs", [1, 2])
    def test_every_item_once(self, jobs: int) -> None:
        done = dict(each(square, range(5), jobs=jobs, crashed=_lost))
        assert done == {0: 0, 1: 1, 2: 4, 3: 9, 4: 16}

    def test_one_job_is_this_process_and_two_are_others(self) -> None:
        assert set(dict(each(process_of, range(3), jobs=1, crashed=_lost)).values()) == {os.getpid()}
        others = set(dict(each(process_of, range(12), jobs=2, crashed=_lost)).values())
        assert len(others) == 2
        assert os.getpid() not in others

    def test_an_item_that_kills_its_process_does_not_affect_the_others(self) -> None:
        done = dict(each(square_or_die, range(6), jobs=2, crashed=_lost))
        assert done == {0: 0, 1: 1, 2: 4, 3: -3, 4: 16, 5: 25}

    def test_an_exception_is_raised_here(self) -> None:
        with pytest.raises(RefusedNumberError):
            list(each(fail, range(5), jobs=2, crashed=_lost))

    @pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
    def test_processes_end_with_a_killed_parent(self, tmp_path: Path) -> None:
        """Otherwise they would go on writing into the folder of the next run."""
        script = tmp_path / "parent.py"
        script.write_text(ORPHANS.format(path=[str(Path(__file__).parents[1])]))
        pids = tmp_path / "pids"
        pids.mkdir()
        parent = subprocess.Popen([sys.executable, str(script), str(pids)])
        _wait_for(lambda: len(list(pids.iterdir())) == 2)
        parent.kill()
        parent.wait()
        _wait_for(lambda: not any(Path("/proc", path.name).exists() for path in pids.iterdir()))


def _wait_for(condition: Callable[[], bool], *, attempts: int = 1200) -> None:
    for _ in range(attempts):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("the condition was never true")
