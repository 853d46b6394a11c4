"""The stock program is found behind our launcher, and run with its exit status and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import textwrap
import time
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.baselines import stock_program
from nnunet_femur.baselines.stock_program import PROGRAM, become_stock, ending_in_order, find_stock, run_stock
from nnunet_femur.dataset.environment import LAUNCHER_FOLDER

if TYPE_CHECKING:
    from pathlib import Path


def _program(folder: Path, text: str = "#!/bin/sh\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PROGRAM
    path.write_text(text)
    path.chmod(0o755)
    return path


class TestFind:
    @pytest.fixture(autouse=True)
    def _no_other(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path / "scripts"))

    def test_behind_the_launcher(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        stock = _program(tmp_path / "stock")
        _program(tmp_path / "later")
        monkeypatch.setenv("PATH", os.pathsep.join([str(LAUNCHER_FOLDER), str(stock.parent), str(tmp_path / "later")]))
        assert find_stock() == [str(stock)]

    def test_no_launcher_of_another_installation_and_no_link_to_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _program(tmp_path / "other", (LAUNCHER_FOLDER / PROGRAM).read_text())
        (tmp_path / "link").mkdir()
        (tmp_path / "link" / PROGRAM).symlink_to(LAUNCHER_FOLDER / PROGRAM)
        stock = _program(tmp_path / "stock")
        monkeypatch.setenv("PATH", os.pathsep.join(str(tmp_path / name) for name in ("other", "link", "stock")))
        assert find_stock() == [str(stock)]

    def test_relative_folders_and_what_cannot_be_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        _program(tmp_path / "not").chmod(0o644)
        _program(tmp_path / "stock")
        monkeypatch.chdir(tmp_path / "stock")
        monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "not"), "", "/nowhere"]))
        assert find_stock() == [str(tmp_path / "stock" / PROGRAM)]

    def test_the_one_of_this_python_where_path_has_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(LAUNCHER_FOLDER))
        assert find_stock()[0] == sys.executable
        assert find_stock()[-1] == "totalsegmentator.bin.TotalSegmentator"
        script = _program(tmp_path / "scripts")
        assert find_stock() == [str(script)]


class TestRun:
    @pytest.mark.parametrize(("text", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137)])
    def test_exit_status(self, text: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        _program(tmp_path, f"#!/bin/sh\n{text}\n")
        monkeypatch.setenv("PATH", str(tmp_path))
        assert run_stock(["-h"]) == status

    def test_replaces_this_process(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        stock = _program(tmp_path)
        monkeypatch.setenv("PATH", str(tmp_path))
        called = []
        monkeypatch.setattr(os, "execv", lambda *command: called.append(command))
        become_stock(["-i", "a b", "--fast"])
        assert called == [(str(stock), [str(stock), "-i", "a b", "--fast"])]


class TestSignals:
    """Signals to a process that runs the stock program."""

    CODE = textwrap.dedent(
        """
        import signal, sys, tempfile
        from nnunet_femur.baselines.stock_program import ending_in_order, run_stock
        # Tests may run where these are ignored, as under nohup.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with ending_in_order(), tempfile.TemporaryDirectory(dir=sys.argv[1]):
                run_stock([])
        except KeyboardInterrupt as reason:
            sys.exit(getattr(reason, "status", 130))
        """
    )
    # Its process number tells the test that it is up; it removes its own file at an interrupt only.
    STOCK = textwrap.dedent(
        f"""\
        #!{sys.executable}
        import os, pathlib, signal, sys, time
        up = pathlib.Path(__file__).with_name("up")
        up.write_text(str(os.getpid()))
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            pass
        finally:
            up.unlink()
        """
    )

    @pytest.mark.parametrize(
        ("number", "to_all"), [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, False)]
    )
    def test_both_end_and_nothing_is_left(self, number: int, to_all: bool, tmp_path: Path) -> None:
        _program(tmp_path / "stock", self.STOCK)
        (tmp_path / "temporary").mkdir()
        up = tmp_path / "stock" / "up"
        process = subprocess.Popen(
            [sys.executable, "-c", self.CODE, str(tmp_path / "temporary")],
            env={**os.environ, "PATH": str(tmp_path / "stock")},
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + 60
            while not (up.is_file() and up.read_text()):
                assert process.poll() is None
                if time.monotonic() > deadline:
                    pytest.fail("the program did not start")
                time.sleep(0.02)
            stock = int(up.read_text())
            assert list((tmp_path / "temporary").iterdir())
            if to_all:
                os.killpg(process.pid, number)
            else:
                os.kill(process.pid, number)
            assert process.wait(30) == 128 + number
        finally:
            process.kill()
        assert not up.exists()
        with pytest.raises(ProcessLookupError):
            os.kill(stock, 0)
        assert list((tmp_path / "temporary").iterdir()) == []

    def test_what_is_ignored_stays_ignored(self) -> None:
        """As SIGHUP under nohup."""
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        default = signal.getsignal(signal.SIGTERM)
        try:
            with ending_in_order():
                assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
                assert signal.getsignal(signal.SIGTERM) != default
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) == default
        finally:
            signal.signal(signal.SIGHUP, before)

    def test_one_that_does_not_end_is_ended(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stock_program, "_PATIENCE_S", 0.1)
        stubborn = (
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
        )
        with subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            stock_program._end(process, interrupted=True)
            assert process.returncode == -signal.SIGKILL
