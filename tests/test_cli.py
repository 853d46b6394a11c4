"""The command line: examples in every help, one message for a mendable problem, no traceback."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.dataset.environment import export_lines
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

SUB_VERBS = {"study": ("run", "init"), "weights": ("path", "verify", "download", "encoders")}
"""The commands of verbs that have several."""

VERBS = ("demo", "env", "phantoms", "convert", "plan", "baseline", "predict", "score", "compare", "doctor")


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nnunet_femur", *arguments],
        env={"PATH": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


class TestHelp:
    @pytest.mark.parametrize(
        "verb", [*((verb,) for verb in VERBS), *((verb, sub) for verb, subs in SUB_VERBS.items() for sub in subs)]
    )
    def test_has_an_example(self, verb: tuple[str, ...]) -> None:
        result = CliRunner().invoke(app, [*verb, "--help"])
        assert result.exit_code == 0
        assert "Example:" in result.output

    def test_every_verb_is_tested_here(self) -> None:
        assert {command.name or command.callback.__name__ for command in app.registered_commands} == set(VERBS)
        groups = {group.name: group.typer_instance.registered_commands for group in app.registered_groups}
        assert {
            name: {command.name or command.callback.__name__ for command in commands}
            for name, commands in groups.items()
        } == {name: set(subs) for name, subs in SUB_VERBS.items()}

    def test_version(self) -> None:
        assert CliRunner().invoke(app, ["--version"]).output.strip() == __version__


class TestEnv:
    def test_prints_nothing_but_shell_lines(self, tmp_path: Path) -> None:
        result = _run("env", str(tmp_path))
        assert result.returncode == 0
        assert result.stderr == ""
        lines = result.stdout.splitlines()
        assert [line.split("=")[0] for line in lines if line.startswith("export")] == [
            "export nnUNet_raw",
            "export nnUNet_preprocessed",
            "export nnUNet_results",
            "export nnUNet_extTrainer",
            "export PATH",
            "export NNFEMUR_PYTHON",
        ]
        assert result.stdout == "".join(f"{line}\n" for line in export_lines(tmp_path))

    def test_stock(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(app, ["env", "--stock", str(tmp_path)])
        assert result.output == "".join(f"{line}\n" for line in export_lines(tmp_path, launcher=False))


class TestProblems:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("convert", "nowhere", "-d", "1"), "nnUNet_raw is not set"),
            (("plan", "-d", "1"), "nnUNet_raw is not set"),
            (("plan", "-d", "1", "--preset", "huge"), "preset must be one of default, small, got 'huge'"),
            (("compare", "nowhere"), "nowhere: there is no such folder"),
            (("compare",), "There is nothing to compare"),
            (("score", "nowhere", "neither"), "nowhere: there is no such file or folder"),
            (("phantoms", "x", "--spacing", "0", "1", "1"), "Spacing (0.0, 1.0, 1.0)"),
            (("weights", "path"), "Run: nnfemur weights download"),
            (("weights", "download", "--from-zip", "nowhere.zip"), "nowhere.zip: not found"),
            (("weights", "download", "--from-folder", "nowhere"), "nowhere: contains none of TotalSegmentator's models"),
            (("baseline", "-d", "1", "--device", "cpu"), "nnUNet_raw is not set"),
            (("baseline", "-i", "nowhere", "-o", "a.nrrd", "--device", "cpu"), "nowhere: there is no such file"),
        ],
    )
    def test_end_with_one_message(self, arguments: tuple[str, ...], message: str) -> None:
        result = _run(*arguments)
        assert result.returncode == 1
        assert message in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stdout == ""

    @pytest.mark.parametrize(
        "arguments",
        [
            ("convert",),
            ("plan", "-d", "0"),
            ("plan", "-d", "1000"),
            ("nonsense",),
            ("score",),
            ("baseline",),
            ("baseline", "-i", "a"),
        ],
    )
    def test_wrong_usage_is_status_2(self, arguments: tuple[str, ...]) -> None:
        result = _run(*arguments)
        assert result.returncode == 2
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize("option", [("--method", "name"), ("--method", "a=x", "--method", "a=y"), ("--test", "t")])
def test_wrong_options_of_compare_are_status_2(option: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["compare", *option])
    assert result.exit_code == 2


def test_compare_has_a_command_of_its_own() -> None:
    command = "import sys; sys.argv[1:] = ['nowhere']; from nnunet_femur.cli import compare_main; compare_main()"
    result = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "nowhere: there is no such folder" in result.stderr
