"""The package on Windows, as far as another system can tell: no modules and names that Windows lacks, its commands."""

from __future__ import annotations

import ast
import ntpath
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nnunet_femur import atomic_files, processes
from nnunet_femur.atomic_files import rename
from nnunet_femur.baselines import stock_program
from nnunet_femur.processes import shell_command

REPOSITORY = Path(__file__).parents[1]
MODULES = sorted(
    path for part in ("nnunet_femur", "trainers", "dataset_conversion") for path in (REPOSITORY / part).rglob("*.py")
)
POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
POSIX_NAMES = {
    "os": {
        *("fork", "forkpty", "getuid", "geteuid", "getgid", "getpgid", "killpg", "mkfifo", "nice", "setsid", "uname"),
        *("getloadavg", "sched_getaffinity", "statvfs", "sync", "wait3", "WIFEXITED", "O_NONBLOCK", "O_DIRECTORY"),
    },
    "signal": {*("SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "alarm", "setitimer", "pause")},
    "time": {"tzset"},
}
GUARDS = ("sys.platform", "os.name", "hasattr", "ImportError")
"""Texts of a condition that tells systems apart."""


def _guarded(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """True if a condition about the system precedes a node in its function, or encloses it."""
    while node in parents:
        outer = parents[node]
        if isinstance(outer, ast.If | ast.IfExp | ast.Try) and any(guard in ast.unparse(outer) for guard in GUARDS):
            return True
        if isinstance(outer, ast.FunctionDef | ast.Module):
            before = outer.body[: next((i for i, each in enumerate(outer.body) if each is node), 0)]
            if any(
                isinstance(each, ast.If) and any(guard in ast.unparse(each.test) for guard in GUARDS) for each in before
            ):
                return True
        node = outer
    return False


def _unguarded(source: str) -> list[str]:
    """The modules and names of POSIX that a source uses on every system."""
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    found = []
    for node in ast.walk(tree):
        names: set[str] = set()
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names} & POSIX_MODULES
        elif isinstance(node, ast.ImportFrom):
            names = {str(node.module)} & POSIX_MODULES
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names = {node.attr} & POSIX_NAMES.get(node.value.id, set())
        found += [f"{name}, line {node.lineno}" for name in names if not _guarded(node, parents)]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_uses_nothing_that_windows_lacks(path: Path) -> None:
    assert not _unguarded(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("import fcntl", 1),
        ("import os\nos.setsid()", 1),
        ("try:\n    import resource\nexcept ImportError:\n    resource = None", 0),
        ("import sys, os\ndef f():\n    if sys.platform == 'win32':\n        return\n    os.fork()", 0),
        ("import sys, os\ndef f():\n    os.fork()\n    if sys.platform == 'win32':\n        return", 1),
    ],
)
def test_finds_what_windows_lacks(source: str, count: int) -> None:
    assert len(_unguarded(source)) == count


def test_commands_import_without_the_modules_of_posix() -> None:
    """None in ``sys.modules`` is a module that cannot be imported; those of the standard library are loaded before."""
    code = (
        "import asyncio, getpass, multiprocessing, pathlib, shutil, subprocess, sys, tarfile, tempfile\n"
        f"sys.modules.update(dict.fromkeys({sorted(POSIX_MODULES)!r}))\n"
        "import nnunet_femur.cli, nnunet_femur.processes, nnunet_femur.atomic_files, nnunet_femur.records\n"
        "import nnunet_femur.baselines.stock_program, nnunet_femur.study.engine, nnunet_femur.study.job\n"
        "import nnunet_femur.conversion.staging, nnunet_femur.study.slurm, nnunet_femur.doctor.machine\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


class TestRename:
    """A program that has a file open keeps it from being renamed on Windows."""

    @pytest.fixture
    def refusals(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        left = [3]
        replace = Path.replace

        def refuse_first(self: Path, target: Path) -> Path:
            """Fail as often as `left` tells."""
            if left[0]:
                left[0] -= 1
                raise PermissionError(13, "The process cannot access the file")
            return replace(self, target)

        monkeypatch.setattr(Path, "replace", refuse_first)
        return left

    def test_is_tried_again(self, tmp_path: Path, refusals: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "win32")
        (tmp_path / "a").write_text("x", encoding="utf-8")
        rename(tmp_path / "a", tmp_path / "b")
        assert (tmp_path / "b").read_text(encoding="utf-8") == "x"
        assert refusals == [0]

    def test_ends_with_the_error(self, tmp_path: Path, refusals: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setattr(atomic_files, "_PATIENCE_S", 0.1)
        refusals[0] = 1000
        with pytest.raises(PermissionError):
            rename(tmp_path / "a", tmp_path / "b")

    def test_fails_at_once_elsewhere(
        self, tmp_path: Path, refusals: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "platform", "linux")
        with pytest.raises(PermissionError):
            rename(tmp_path / "a", tmp_path / "b")
        assert refusals == [2]


class TestShellCommand:
    """One line that cmd.exe, as Snakemake starts it, takes apart as it was."""

    @pytest.mark.parametrize("study", [r"C:\a\s.yaml", r"C:\a&b\s.yaml", r"C:\a & b (2)\s.yaml", r"\\nas\a b\s.yaml"])
    def test_every_argument_is_in_double_quotes(self, study: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "win32")
        python = ntpath.join(r"C:\Program Files", "Python", "python.exe")
        line = shell_command([python, "-m", "nnunet_femur.cli.study_job", study])
        assert line == f'"{python}" "-m" "nnunet_femur.cli.study_job" "{study}"'

    def test_a_posix_shell_is_replaced(self) -> None:
        script = shell_command([sys.executable, "-c", "import sys; print(sys.argv[1:])", "a 'b' $c", ""])
        assert script.startswith("exec ")
        printed = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout
        assert printed.strip() == "[\"a 'b' $c\", '']"


class TestProcesses:
    def test_the_stock_program_runs_beside(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """On Windows execv would end this process before the other one."""
        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setattr(stock_program, "run_stock", lambda arguments: len(arguments))
        monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("execv"))
        assert stock_program.become_stock(["-i", "ct.nii.gz"]) == 2

    def test_ends_without_signals_that_windows_refuses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "win32")
        assert set(stock_program._ending_signals()) == {signal.SIGTERM}

    def test_ends_the_children_of_a_program(self) -> None:
        """As of cmd.exe, which Snakemake starts for each job."""
        child = "import time; print('up', flush=True); time.sleep(60)"
        code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            assert parent.stdout.readline().strip() == "up"
            processes._end_children(parent.pid)
            assert parent.wait(20) == 0

    @pytest.mark.parametrize("encoding", ["cp437", "ascii"])
    def test_help_in_a_console_without_all_characters(self, encoding: str) -> None:
        environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "100"}
        command = [sys.executable, "-m", "nnunet_femur", "predict", "--help"]
        ended = subprocess.run(command, check=False, capture_output=True, env=environment)
        assert ended.returncode == 0, ended.stderr
        assert b"--model" in ended.stdout
