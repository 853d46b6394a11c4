"""The command line: an example in every help, one message for a problem of the user, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.dataset.shell_lines import export_lines
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

SUB_VERBS = {"study": ("run", "init"), "weights": ("path", "verify", "download", "encoders")}
"""The commands of verbs that have several."""

VERBS = (
    "demo",
    "env",
    "merge",
    "phantoms",
    "convert",
    "plan",
    "baseline",
    "predict",
    "review",
    "ensemble",
    "select",
    "measure",
    "score",
    "compare",
    "export",
    "doctor",
)


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

    def test_defaults_in_brackets_are_shown(self) -> None:
        """Rich would take them as markup; the terminal's width breaks the line."""
        printed = CliRunner().invoke(app, ["study", "run", "--help"], env={"COLUMNS": "200"}).output
        assert "[default: all]" in printed

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

    @pytest.mark.skipif(sys.platform == "win32", reason="names are UTF-16 there")
    def test_passes_any_name_of_a_folder(self, tmp_path: Path) -> None:
        """As bytes, which also keep the ends of lines on Windows."""
        name = b"a\xff"
        result = CliRunner().invoke(app, ["env", "--shell", "sh", os.fsdecode(os.fsencode(tmp_path) + b"/" + name)])
        assert result.exit_code == 0
        assert name + b"/nnUNet_raw" in result.stdout_bytes
        assert b"\r" not in result.stdout_bytes

    def test_stock(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(app, ["env", "--stock", str(tmp_path)])
        assert result.output == "".join(f"{line}\n" for line in export_lines(tmp_path, launcher=False))


class TestProblems:
    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            (("convert", "nowhere", "-d", "1"), "nnUNet_raw"),
            (("plan", "-d", "1"), "nnUNet_raw"),
            (("plan", "-d", "1", "--preset", "huge"), "huge"),
            (("compare", "nowhere"), "nowhere"),
            (("compare",), "compare"),
            (("score", "nowhere", "neither"), "nowhere"),
            (("measure", "nowhere.nrrd"), "nowhere.nrrd"),
            (("phantoms", "x", "--spacing", "0", "1", "1"), "0.0"),
            (("weights", "path"), "nnfemur weights download"),
            (("weights", "download", "--from-zip", "nowhere.zip"), "nowhere.zip"),
            (("weights", "download", "--from-folder", "nowhere"), "nowhere"),
            (("baseline", "-d", "1", "--device", "cpu"), "nnUNet_raw"),
            (("baseline", "-i", "nowhere", "-o", "a.nrrd", "--device", "cpu"), "nowhere"),
            (("study", "nowhere.yaml"), "nowhere.yaml"),
            (("study", "init", "a.yaml", "--preset", "huge"), "huge"),
        ],
    )
    def test_end_with_one_message(self, arguments: tuple[str, ...], named: str) -> None:
        """The message names the file, option or variable, or the command that helps."""
        result = _run(*arguments)
        assert result.returncode == 1
        assert result.stderr.startswith("error: ")
        assert named in result.stderr
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
            ("measure",),
            ("baseline",),
            ("baseline", "-i", "a"),
            ("study",),
            ("study", "run"),
            ("demo", "x", "--cases", "5"),
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
    assert result.stderr.startswith("error: ")
    assert "nowhere" in result.stderr
