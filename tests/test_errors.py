"""Errors end a process with their message alone, and only the console scripts end one."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from nnunet_femur.errors import InputError, ending_without_traceback
from tests.refusing import refused

PACKAGE = Path(__file__).parents[1] / "nnunet_femur"
SCRIPTS = Path(__file__).parents[1] / "dataset_conversion"

ALLOWED = {
    # Ends a worker whose parent process was killed.
    ("nnunet_femur/processes.py", "os._exit"),
}
EXITS = {"SystemExit", "sys.exit", "os._exit", "os.abort", "exit", "quit", "typer.Exit"}


def _exits(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, (ast.Name, ast.Attribute))} & EXITS


def _library() -> list[Path]:
    trainers = PACKAGE.parent / "trainers"
    found = [*PACKAGE.rglob("*.py"), *trainers.rglob("*.py"), *SCRIPTS.rglob("*.py")]
    return [path for path in found if "cli" not in path.parts and path.name != "__main__.py"]


def test_library_code_ends_no_process() -> None:
    found = {(path.relative_to(PACKAGE.parent).as_posix(), name) for path in _library() for name in _exits(path)}
    assert found == ALLOWED


def test_the_search_finds_exits() -> None:
    assert _exits(PACKAGE / "cli" / "__init__.py") == {"sys.exit", "typer.Exit"}


def _raise(error: Exception) -> None:
    with ending_without_traceback():
        raise error


class TestEndingWithoutTraceback:
    def test_callers_can_catch_the_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
        with refused("input", "x: bad."):
            _raise(InputError("x: bad."))
        hook = sys.excepthook
        with pytest.raises(ValueError, match="other"):
            _raise(ValueError("other"))
        with refused("input", "again"):
            _raise(InputError("again"))
        assert sys.excepthook is hook, "installed once"

    @pytest.mark.parametrize(
        ("kind", "last", "traced"),
        [("InputError", "error: x: bad.", False), ("ValueError", "ValueError: x: bad.", True)],
    )
    def test_of_a_process(self, kind: str, last: str, *, traced: bool) -> None:
        code = (
            "from nnunet_femur.errors import InputError, ending_without_traceback\n"
            "with ending_without_traceback():\n"
            f"    try: raise InputError('y')\n"
            "    except InputError: pass\n"
            "try:\n"
            "    with ending_without_traceback(): raise InputError('caught')\n"
            "except InputError: pass\n"
            f"with ending_without_traceback(): raise {kind}('x: bad.')\n"
        )
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert ended.returncode == 1
        assert ended.stderr.splitlines()[-1] == last
        assert ("Traceback" in ended.stderr) == traced
