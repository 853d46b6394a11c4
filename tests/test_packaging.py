"""The installed package: `trainers` and `dataset_conversion` from the top level, the data files, the commands."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import requires, version
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SOURCES = ("nnunet_femur", "trainers", "dataset_conversion")


def _expected_files() -> set[str]:
    """The files of the repository that a wheel must hold, by their place in it."""
    found = set()
    for source in SOURCES:
        place = source if source == "nnunet_femur" else f"nnunet_femur/{source}"
        for path in (REPOSITORY / source).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found.add(f"{place}/{path.relative_to(REPOSITORY / source).as_posix()}")
    return found


@pytest.mark.parametrize("source", SOURCES[1:])
def test_editable_install_maps_the_top_level_folders(source: str) -> None:
    module = importlib.import_module(f"nnunet_femur.{source}")
    assert Path(str(module.__file__)).is_file()


def test_versions_agree() -> None:
    from nnunet_femur import __version__

    assert version("nnunet_femur") == __version__


def test_dependencies_have_both_bounds() -> None:
    for requirement in requires("nnunet_femur") or []:
        assert ">=" in requirement, requirement
        assert "<" in requirement.replace(">=", ""), requirement


@pytest.mark.integration
class TestWheel:
    @pytest.fixture(scope="class")
    def wheel(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        uv = shutil.which("uv")
        if uv is None:
            pytest.skip("uv is not here to build a wheel with")
        folder = tmp_path_factory.mktemp("wheel")
        # A copy, since setuptools would also pack what an earlier build has left beside the sources.
        clean = folder / "sources"
        for source in SOURCES:
            shutil.copytree(REPOSITORY / source, clean / source, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(REPOSITORY / name, clean / name)
        built = subprocess.run(
            [uv, "build", "--wheel", "--out-dir", str(folder), str(clean)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert built.returncode == 0, built.stderr
        return next(folder.glob("*.whl"))

    def test_holds_every_file_and_nothing_generic(self, wheel: Path) -> None:
        names = set(zipfile.ZipFile(wheel).namelist())
        code = {name for name in names if ".dist-info/" not in name}
        assert code == _expected_files()

    def test_the_launcher_can_be_run_after_installation(self, wheel: Path, tmp_path: Path) -> None:
        uv = shutil.which("uv")
        assert uv is not None
        command = [uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--target", str(tmp_path), str(wheel)]
        installed = subprocess.run(command, capture_output=True, text=True, check=False)
        assert installed.returncode == 0, installed.stderr
        launcher = tmp_path / "nnunet_femur" / "launchers" / "TotalSegmentator"
        assert os.access(launcher, os.X_OK)
        member = zipfile.ZipFile(wheel).getinfo("nnunet_femur/launchers/TotalSegmentator")
        assert member.external_attr >> 16 & 0o111 == 0o111, "pip and uv take the mode from here"

    def test_has_the_commands(self, wheel: Path) -> None:
        archive = zipfile.ZipFile(wheel)
        entry_points = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        text = archive.read(entry_points).decode()
        assert "nnfemur = nnunet_femur.cli:main" in text
        assert "nnfemur-compare = nnunet_femur.cli:compare_main" in text

    def test_runs_its_commands_from_an_empty_environment(self, wheel: Path) -> None:
        """With the dependencies that are installed here; the workflow of a release installs them, too."""
        packages = Path(sysconfig.get_path("purelib"))
        command = [sys.executable, REPOSITORY / ".ci" / "try_wheel.py", wheel, "--packages", packages]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
