"""nnU-Net's folders and trainer path."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nnunet_femur.dataset import environment
from nnunet_femur.dataset.environment import (
    EXT_TRAINER,
    LAUNCHER_FOLDER,
    PYTHON,
    TRAINER_FOLDER,
    export_lines,
    require,
    set_environment,
    sleeping_threads,
    variables,
)
from tests.refusing import refused


class TestVariables:
    def test_three_folders_below_one(self, tmp_path: Path) -> None:
        assert variables(tmp_path)["nnUNet_raw"] == str(tmp_path / "nnUNet_raw")
        assert variables(tmp_path)["nnUNet_preprocessed"] == str(tmp_path / "nnUNet_preprocessed")
        assert variables(tmp_path)["nnUNet_results"] == str(tmp_path / "nnUNet_results")

    def test_trainers_of_others_are_kept_behind_ours(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(EXT_TRAINER, os.pathsep.join(["/others", str(TRAINER_FOLDER), "/more"]))
        assert variables(tmp_path)[EXT_TRAINER].split(os.pathsep) == [str(TRAINER_FOLDER), "/others", "/more"]

    def test_are_set_for_this_process_and_its_children(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in variables(tmp_path):
            monkeypatch.setenv(name, "elsewhere")  # restored after the test
        assert set_environment(str(tmp_path)) == variables(tmp_path)
        command = "import os; from nnunetv2.paths import nnUNet_results; print(os.fspath(nnUNet_results))"
        child = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
        assert child.stdout.strip() == str(tmp_path / "nnUNet_results")

    def test_the_trainer_folder_holds_one_module(self) -> None:
        """nnU-Net imports every module of the folder, and stops at the first that cannot be imported."""
        assert [path.name for path in TRAINER_FOLDER.glob("*.py")] == ["nnunet_femur_trainers.py"]


class TestSleepingThreads:
    @pytest.fixture(autouse=True)
    def _unset(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
            monkeypatch.delenv(name, raising=False)

    def test_by_default(self) -> None:
        assert sleeping_threads() == {"OMP_WAIT_POLICY": "PASSIVE"}

    @pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
    def test_the_users_choice_stays(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(name, "x")
        assert sleeping_threads() == {}


class TestExportLines:
    @pytest.mark.parametrize("name", ["plain", "with space", "quote'quote", "$HOME", "a;b", "ümlaut"])
    def test_a_shell_reads_back_any_folder(self, tmp_path: Path, name: str) -> None:
        script = "\n".join([*export_lines(tmp_path / name), 'printf %s "$nnUNet_raw"'])
        printed = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout
        assert printed == str(tmp_path / name / "nnUNet_raw")

    def test_a_relative_folder_becomes_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert f"export nnUNet_raw={tmp_path / 'x' / 'nnUNet_raw'}" in export_lines(Path("x"))


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
        monkeypatch.setattr(environment, "LAUNCHER_FOLDER", tmp_path / folder)
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
        assert [path.name for path in LAUNCHER_FOLDER.iterdir()] == ["TotalSegmentator"]

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

    def test_windows_has_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "win32")
        assert len(export_lines(tmp_path)) == len(variables(tmp_path))


class TestRequire:
    def test_makes_the_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("nnUNet_raw", str(tmp_path / "a" / "b"))
        assert require("nnUNet_raw") == tmp_path / "a" / "b"
        assert (tmp_path / "a" / "b").is_dir()

    def test_without_the_variable_names_the_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("nnUNet_raw", raising=False)
        with refused("environment", "nnUNet_raw", "nnfemur env"):
            require("nnUNet_raw")

    def test_names_a_folder_that_cannot_be_made(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("nnUNet_raw", str(tmp_path / "file" / "raw"))
        with refused("environment", "nnUNet_raw", tmp_path / "file" / "raw"):
            require("nnUNet_raw")
