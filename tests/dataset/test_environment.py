"""nnU-Net's folders and trainer path."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.dataset.environment import (
    EXT_TRAINER,
    TRAINER_FOLDER,
    require,
    set_environment,
    set_up_command,
    sleeping_threads,
    variables,
)
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path


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


class TestSetUpCommand:
    @pytest.mark.parametrize(("platform", "begins"), [("win32", "nnfemur env C:\\x |"), ("linux", 'eval "$(')])
    def test_is_of_this_system(self, platform: str, begins: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", platform)
        assert set_up_command("C:\\x").startswith(begins)


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
