"""What SLURM is told and asked, with scripts in the place of its commands; the real one is in tests/slurm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nnunet_femur.errors import FemurError, SetupError
from nnunet_femur.study.slurm import cancel, engine_options, name_of, take_over

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH; a script in it appends its arguments to `calls`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def write_command(folder: Path, name: str, output: str = "", status: int = 0) -> None:
    (folder / f"{name}.txt").write_text(output)
    script = folder / name
    lines = [f'echo "{name} $*" >> {folder}/calls', f'while read -r line; do echo "$line"; done < {folder}/{name}.txt']
    script.write_text("\n".join(["#!/bin/sh", *lines, f"exit {status}", ""]))
    script.chmod(0o755)


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def test_studies_have_different_names_of_jobs(tmp_path: Path) -> None:
    assert name_of(tmp_path / "a") == name_of(tmp_path / "b" / ".." / "a")
    assert name_of(tmp_path / "a") != name_of(tmp_path / "b")
    assert len(name_of(tmp_path)) <= 50  # Snakemake's plugin takes no longer one


@pytest.mark.parametrize(("status", "expected"), [(0, "sacct"), (1, "squeue"), (None, "squeue")])
def test_without_accounting_the_queue_is_asked(commands: Path, status: int | None, expected: str) -> None:
    if status is not None:
        write_command(commands, "sacct", status=status)
    options = engine_options(commands)
    assert options[options.index("--slurm-status-command") + 1] == expected
    assert options[options.index("--slurm-jobname-prefix") + 1] == name_of(commands)


def test_waiting_jobs_are_cancelled_and_running_ones_told(commands: Path, tmp_path: Path) -> None:
    name = name_of(tmp_path)
    rows = (
        f"11|RUNNING|{name}_1b-2c|rule_train_A__plans__3d_fullres_fold_0",
        f"12|PENDING|{name}_1b-2c|rule_train_B__plans__3d_fullres_fold_0",
        f"13|COMPLETING|{name}_3d-4e|rule_train_A__plans__3d_fullres_fold_0",
        f"14|PENDING|{name_of(tmp_path / 'other')}_5f|rule_convert",
        "15|RUNNING|interactive|(null)",
        f"16|RUNNING|{name}_3d-4e|rule_convert",
        f"17|COMPLETED|{name}_3d-4e|rule_plan",
    )
    write_command(commands, "squeue", "\n".join(rows) + "\n")
    write_command(commands, "scancel")
    assert take_over(tmp_path) == {"train_A__plans__3d_fullres_fold_0": "11:13", "convert": "16"}
    assert calls(commands)[1:] == ["scancel 12"]


def test_all_jobs_of_the_study_and_no_other_are_cancelled(commands: Path, tmp_path: Path) -> None:
    name = name_of(tmp_path)
    write_command(commands, "squeue", f"1|RUNNING|{name}_a|rule_plan\n2|RUNNING|other|x\n3|PENDING|{name}_a|rule_b\n")
    write_command(commands, "scancel")
    assert cancel(tmp_path) == 2
    assert calls(commands)[1:] == ["scancel 1 3"]


def test_an_empty_queue_is_left_alone(commands: Path, tmp_path: Path) -> None:
    write_command(commands, "squeue")
    assert take_over(tmp_path) == {}
    assert cancel(tmp_path) == 0  # without `scancel`, which is not there


def test_slurm_that_is_absent_or_silent(commands: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="login node"):
        take_over(tmp_path)
    write_command(commands, "squeue", status=1)
    with pytest.raises(FemurError, match="does not answer"):
        take_over(tmp_path)
