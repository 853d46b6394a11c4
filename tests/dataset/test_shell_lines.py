"""Lines that set the environment in POSIX shells and in PowerShell, and the launchers that they put on PATH."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path, PureWindowsPath

import pytest

from nnunet_femur.baselines.stock_program import LAUNCHER_MARK
from nnunet_femur.dataset import shell_lines
from nnunet_femur.dataset.environment import LAUNCHER_FOLDER, PYTHON
from nnunet_femur.dataset.shell_lines import export_lines
from tests.refusing import refused


class TestExportLines:
    @pytest.mark.parametrize("name", ["plain", "with space", "quote'quote", "$HOME", "a;b", "ümlaut"])
    def test_a_shell_reads_back_any_folder(self, tmp_path: Path, name: str) -> None:
        script = "\n".join([*export_lines(tmp_path / name), 'printf %s "$nnUNet_raw"'])
        printed = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout
        assert printed == str(tmp_path / name / "nnUNet_raw")

    def test_a_relative_folder_becomes_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert f"export nnUNet_raw={tmp_path / 'x' / 'nnUNet_raw'}" in export_lines(Path("x"))

    @pytest.mark.parametrize(
        ("folder", "entry"),
        [(r"C:\Program Files\femur", "/c/Program Files/femur"), (r"\\nas\tools\femur", "//nas/tools/femur")],
    )
    def test_git_bash_separates_path_by_colons(
        self, folder: str, entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setattr(shell_lines, "LAUNCHER_FOLDER", PureWindowsPath(folder))
        lines = export_lines(tmp_path, shell_kind="sh")
        monkeypatch.undo()
        script = "\n".join(["PATH=/a", *lines, 'echo "$PATH"'])
        printed = subprocess.run(["/bin/sh", "-c", script], check=True, capture_output=True, text=True).stdout
        assert printed == f"{entry}:/a\n"


SHELLS = [shell for shell in ("sh", "dash", "bash", "zsh", "mksh", "ksh") if shutil.which(shell)]


def _path(shell: str, before: str, *lines: str) -> str:
    """PATH of a shell after some lines."""
    printf = shutil.which("printf")  # not every shell has one of its own
    script = "\n".join(["set -eu", *lines, f'{printf} %s "$PATH:${{{PYTHON}-}}"'])
    found = shutil.which(shell)
    assert found is not None
    result = subprocess.run([found, "-c", script], env={"PATH": before}, check=True, capture_output=True, text=True)
    assert result.stderr == ""
    return result.stdout


@pytest.mark.parametrize("shell", SHELLS)
class TestLauncherOnPath:
    @pytest.mark.parametrize("folder", ["plain", "a 'b' $HOME \"c\"", "*", "[x]", "back\\slash"])
    def test_in_front_and_only_once(
        self, shell: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shell_lines, "LAUNCHER_FOLDER", tmp_path / folder)
        ours, lines = tmp_path / folder, export_lines(tmp_path)
        expected = f"{ours}:/a:/b:{sys.executable}"
        assert _path(shell, "/a:/b", *lines) == expected
        assert _path(shell, "/a:/b", *lines, *lines) == expected
        assert _path(shell, f"/a:{ours}:{ours}:/b:{ours}", *lines) == expected
        assert _path(shell, f"{ours}:/a:/b", *lines) == expected
        assert _path(shell, str(ours), *lines) == f"{ours}:{sys.executable}"

    def test_stock_takes_it_off(self, shell: str, tmp_path: Path) -> None:
        lines = export_lines(tmp_path, launcher=False)
        assert _path(shell, "/a:/b", *lines) == "/a:/b:"
        assert _path(shell, "/a:/b", *export_lines(tmp_path), *lines) == "/a:/b:"
        assert _path(shell, f"/a:{LAUNCHER_FOLDER}:/b", *lines) == "/a:/b:"


class TestLauncher:
    def test_can_be_run_as_it_is_stored(self) -> None:
        assert os.access(LAUNCHER_FOLDER / "TotalSegmentator", os.X_OK)
        assert {path.name for path in LAUNCHER_FOLDER.iterdir()} == {"TotalSegmentator", "TotalSegmentator.cmd"}

    @pytest.mark.parametrize("python", [None, "", "/nowhere/python"])
    def test_without_a_python(self, python: str | None) -> None:
        launcher = str(LAUNCHER_FOLDER / "TotalSegmentator")
        variables = {"PATH": os.defpath} | ({} if python is None else {PYTHON: python})
        result = subprocess.run([launcher, "-h"], env=variables, check=False, capture_output=True, text=True)
        assert result.returncode == 1
        assert "nnfemur env" in result.stderr

    def test_passes_every_argument(self, tmp_path: Path) -> None:
        fake = tmp_path / "py thon"
        fake.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\nexit 9\n")
        fake.chmod(0o755)
        launcher = str(LAUNCHER_FOLDER / "TotalSegmentator")
        arguments = ["-i", "a 'b' $c", "", "-rs", "femur_left", "*"]
        result = subprocess.run(
            [launcher, *arguments], env={PYTHON: str(fake)}, check=False, capture_output=True, text=True
        )
        assert result.returncode == 9
        assert result.stdout.split("\n")[3:-1] == arguments


def _read_by_powershell(expression: str) -> str:
    """The text of an expression of quoted texts and characters, by PowerShell's rules."""
    units = []
    for part in re.findall(r"'((?:[^']|'')*)'|\[char\](\d+)", expression):
        text, number = part
        units.append(int(number).to_bytes(2, "little") if number else text.replace("''", "'").encode("utf-16-le"))
    return b"".join(units).decode("utf-16-le")


class TestPowershell:
    @pytest.mark.parametrize("name", ["plain", "with space", "quote'quote", "$HOME `n", "a;b|c", "ümlaut", "’", "𝒳x"])
    def test_any_folder_is_read_back(self, tmp_path: Path, name: str) -> None:
        lines = export_lines(tmp_path / name, shell_kind="powershell")
        prefix = "$env:nnUNet_raw = "
        (line,) = (line for line in lines if line.startswith(prefix))
        assert line.isascii()
        assert _read_by_powershell(line.removeprefix(prefix)) == str(tmp_path / name / "nnUNet_raw")

    def test_characters_follow_a_text(self, tmp_path: Path) -> None:
        """PowerShell adds two characters as numbers."""
        (line,) = (each for each in export_lines(tmp_path / "ü", shell_kind="powershell") if "nnUNet_raw = " in each)
        assert line.startswith("$env:nnUNet_raw = ('' + '")

    def test_launcher_and_python(self, tmp_path: Path) -> None:
        text = "\n".join(export_lines(tmp_path, shell_kind="powershell"))
        assert f"$env:PATH = (@('{LAUNCHER_FOLDER}') + " in text
        assert f"$env:{PYTHON} = '{sys.executable}'" in text
        stock = "\n".join(export_lines(tmp_path, launcher=False, shell_kind="powershell"))
        assert f"Remove-Item Env:{PYTHON}" in stock
        assert f"@('{LAUNCHER_FOLDER}')" not in stock

    def test_is_the_shell_of_windows(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "win32")
        assert export_lines(tmp_path) == export_lines(tmp_path, shell_kind="powershell")
        assert export_lines(tmp_path, shell_kind="sh")[0].startswith("export nnUNet_raw=")

    def test_unknown_shell(self, tmp_path: Path) -> None:
        with refused("invalid-option", "--shell", "fish"):
            export_lines(tmp_path, shell_kind="fish")


class TestLauncherOfWindows:
    TEXT = (LAUNCHER_FOLDER / "TotalSegmentator.cmd").read_bytes().decode("ascii")

    def test_has_the_mark_that_find_stock_looks_for(self) -> None:
        assert LAUNCHER_MARK in self.TEXT.encode()[:1024]

    def test_lines_end_as_cmd_expects(self) -> None:
        assert self.TEXT.count("\n") == self.TEXT.count("\r\n") > 0

    def test_starts_the_same_module_with_all_arguments(self) -> None:
        assert f'"%{PYTHON}%" -P -m nnunet_femur.cli.totalsegmentator %*' in self.TEXT
