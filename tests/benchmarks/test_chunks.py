"""Steps in chunks: each call goes on where the last one stopped."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import chunks
import psutil
import pytest
from chunks import AGAIN, DONE, FAILED, Chunks, Step

from nnunet_femur.records import read_json

if TYPE_CHECKING:
    from pathlib import Path

CHUNK_S = 4.0
LONG_S = 60.0
"""Length of a chunk whose end is not reached."""


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "GRACE_S", 1.0)
    monkeypatch.setattr(chunks, "SMALLEST_S", 0.2)


def _python(name: str, code: str, **options: object) -> Step:
    return Step(name, (sys.executable, "-c", code), **{"expected_s": 0.2, **options})  # type: ignore[arg-type]


def _run(folder: Path, *steps: Step, seconds: float = LONG_S) -> int:
    return Chunks(folder, seconds, say=lambda _: None).run(steps)


def _counting(folder: Path, name: str, then: str = "") -> str:
    """Python code that adds a line to a file."""
    return f"open({str(folder / name)!r}, 'a').write('x\\n'); {then}"


def _runs(pid: int) -> bool:
    """Return False for a process that has ended, also if nobody has asked for its status."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    step = _python("a", _counting(tmp_path, "a"))
    assert [_run(tmp_path, step), _run(tmp_path, step)] == [DONE, DONE]
    assert (tmp_path / "a").read_text() == "x\n"
    changed = _python("a", _counting(tmp_path, "a", "pass"))
    assert _run(tmp_path, changed) == DONE
    assert (tmp_path / "a").read_text() == "x\nx\n", "another command is another step"


def test_a_step_that_does_not_fit_waits_for_the_next_chunk(tmp_path: Path) -> None:
    """The first takes half of the chunk, and the second is expected to take more than the rest."""
    first = _python("first", "import time; time.sleep(1.6)")
    second = _python("second", _counting(tmp_path, "second"), expected_s=2.0)
    assert _run(tmp_path, first, second, seconds=CHUNK_S) == AGAIN
    assert not (tmp_path / "second").exists()
    assert _run(tmp_path, first, second, seconds=CHUNK_S) == DONE
    assert (tmp_path / "second").exists()


def test_a_resumable_step_goes_on_in_the_next_chunk(tmp_path: Path) -> None:
    """The command sleeps in its first run only; the process that it has started does not outlive the chunk."""
    marker = tmp_path / "child"
    code = (
        "import subprocess, sys, time, pathlib; "
        f"first = not pathlib.Path({str(marker)!r}).exists(); "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True) "
        "if first else None; "
        f"open({str(marker)!r}, 'a').write(str(child.pid) if child else ''); "
        "time.sleep(60 if first else 0)"
    )
    step = _python("long", code, resumable=True)
    start = time.monotonic()
    assert _run(tmp_path, step, seconds=CHUNK_S) == AGAIN
    assert time.monotonic() - start < CHUNK_S + 2, "the chunk keeps its length"
    assert not _runs(int(marker.read_text()))
    assert _run(tmp_path, step) == DONE
    assert read_json(tmp_path / "state.json")["long"]["seconds"] > 2


def test_a_failure_stops_only_what_needs_it(tmp_path: Path) -> None:
    steps = (
        _python("bad", _counting(tmp_path, "bad", "raise SystemExit(3)")),
        _python("needs", _counting(tmp_path, "needs"), after=("bad",)),
        _python("free", _counting(tmp_path, "free")),
    )
    assert _run(tmp_path, *steps) == AGAIN
    assert (tmp_path / "free").exists()
    assert _run(tmp_path, *steps) == FAILED
    assert _run(tmp_path, *steps) == FAILED
    assert (tmp_path / "bad").read_text() == "x\n" * chunks.ATTEMPTS
    assert not (tmp_path / "needs").exists()
    state = read_json(tmp_path / "state.json")
    assert [state[step.name]["status"] for step in steps] == ["failed", "failed", "done"]
    assert "exit status 3" in state["bad"]["reason"]
    again = Chunks(tmp_path, LONG_S, say=lambda _: None)
    again.forget_failures()
    assert again.run(steps) == AGAIN
    assert (tmp_path / "bad").read_text() == "x\n" * (chunks.ATTEMPTS + 1)


def test_a_run_of_some_steps_keeps_what_is_known_of_the_others(tmp_path: Path) -> None:
    steps = [_python(name, _counting(tmp_path, name)) for name in ("a", "b")]
    assert [_run(tmp_path, *steps), _run(tmp_path, steps[1]), _run(tmp_path, *steps)] == [DONE] * 3
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text() == "x\n"


def test_a_step_runs_once_the_one_that_it_needs_is_mended(tmp_path: Path) -> None:
    needs = _python("needs", _counting(tmp_path, "needs"), after=("first",))
    bad, good = (_python("first", f"raise SystemExit({status})") for status in (3, 0))
    assert [_run(tmp_path, bad, needs) for _ in range(chunks.ATTEMPTS)] == [AGAIN, FAILED]
    assert _run(tmp_path, good, needs) == DONE
    assert (tmp_path / "needs").exists()


def test_a_step_longer_than_a_chunk_fails(tmp_path: Path) -> None:
    step = _python("endless", "import time; time.sleep(60)")
    assert [_run(tmp_path, step, seconds=2.5) for _ in range(3)] == [AGAIN, AGAIN, FAILED]
    assert read_json(tmp_path / "state.json")["endless"]["reason"] == "longer than a chunk"
