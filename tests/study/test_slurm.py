"""SLURM's part in a study, with scripts that replace its commands; tests/slurm has a real one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nnunet_femur.study import read_study
from nnunet_femur.study.commands import ON_GPU
from nnunet_femur.study.job import DEFAULTS, environment_of, resources_of
from nnunet_femur.study.slurm import Waiting, cancel, engine_options, meaning, name_of, refuse_beside, take_over
from tests.refusing import names, refused


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of PATH; a script in it appends its arguments to `calls`."""
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


def test_waiting_jobs_are_cancelled_and_running_ones_returned(commands: Path, tmp_path: Path) -> None:
    name = name_of(tmp_path)
    rows = (
        f"11|RUNNING|{name}_1b-2c|None|rule_train_A__plans__3d_fullres_fold_0",
        f"12|PENDING|{name}_1b-2c|Priority|rule_train_B__plans__3d_fullres_fold_0",
        f"13|COMPLETING|{name}_3d-4e|None|rule_train_A__plans__3d_fullres_fold_0",
        f"14|PENDING|{name_of(tmp_path / 'other')}_5f|None|rule_convert",
        "15|RUNNING|interactive|None|(null)",
        f"16|RUNNING|{name}_3d-4e|None|rule_convert",
        f"17|COMPLETED|{name}_3d-4e|None|rule_plan",
    )
    write_command(commands, "squeue", "\n".join(rows) + "\n")
    write_command(commands, "scancel")
    assert take_over(tmp_path) == {"train_A__plans__3d_fullres_fold_0": "11:13", "convert": "16"}
    assert calls(commands)[1:] == ["scancel 12"]


def test_all_jobs_of_the_study_and_no_other_are_cancelled(commands: Path, tmp_path: Path) -> None:
    name = name_of(tmp_path)
    rows = (f"1|RUNNING|{name}_a|None|rule_plan", "2|RUNNING|other|None|x", f"3|PENDING|{name}_a|Priority|rule_b")
    write_command(commands, "squeue", "\n".join(rows) + "\n")
    write_command(commands, "scancel")
    assert cancel(tmp_path) == 2
    assert calls(commands)[1:] == ["scancel 1 3"]


def test_a_study_does_not_run_beside_its_own_jobs(commands: Path, tmp_path: Path) -> None:
    refuse_beside(tmp_path)  # no SLURM
    write_command(commands, "squeue", status=1)
    refuse_beside(tmp_path)  # its commands only
    write_command(commands, "squeue", f"1|RUNNING|other|None|x\n2|RUNNING|{name_of(tmp_path)}_a|None|rule_plan\n")
    with refused("locked", "scancel 2"):
        refuse_beside(tmp_path)


def test_reasons_why_jobs_wait(commands: Path, tmp_path: Path) -> None:
    assert Waiting(tmp_path).look() == ""  # SLURM is away for a moment
    name = name_of(tmp_path)
    rows = [
        f"{n}|PENDING|{name}_a|{why}|rule_x" for n, why in enumerate(("Priority", "PartitionTimeLimit", "Priority"))
    ]
    write_command(commands, "squeue", "\n".join([*rows, f"4|RUNNING|{name}_a|None|rule_y", ""]))
    assert names(Waiting(tmp_path).look(), "PartitionTimeLimit, Priority")
    waiting = Waiting(tmp_path)
    asked = len(calls(commands))
    assert waiting.look() == waiting.look()
    assert len(calls(commands)) == asked + 1


def test_an_empty_queue_is_left_alone(commands: Path, tmp_path: Path) -> None:
    write_command(commands, "squeue")
    assert take_over(tmp_path) == {}
    assert cancel(tmp_path) == 0  # without `scancel`, which is not there


def test_slurm_that_is_absent_or_silent(commands: Path, tmp_path: Path) -> None:
    with refused("not-installed", "squeue"):
        take_over(tmp_path)
    write_command(commands, "squeue", status=1)
    with refused("setup", "SLURM"):
        take_over(tmp_path)


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (
            "SLURM-job '14' failed, SLURM status is: 'TIMEOUT'. Detailed failure reason unavailable (status command "
            "is not 'sacct').For further error details see the cluster/cloud log and the log files of the rule(s).",
            "cluster.resources.train.minutes",
        ),
        ("SLURM-job '15' failed, SLURM status is: 'OUT_OF_MEMORY'. Reason: Unknown.", "cluster.resources.train.mem_mb"),
        ("SLURM-job '15' failed, SLURM status is: 'CANCELLED'.", "SLURM"),
        ("SLURM-job '15' failed, SLURM status is: 'NODE_FAIL'.", "node"),
        (
            "SLURM sbatch failed. The error message was 'sbatch: error: Memory specification can not be satisfied\n"
            "sbatch: error: Batch job submission failed: Requested node configuration is not available'.\n"
            "    sbatch call:\n        sbatch --parsable --job-name nnfemur_885265e8",
            "Memory specification can not be satisfied "
            "Batch job submission failed: Requested node configuration is not available",
        ),
        (
            "SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: x'.",
            "invalid partition specified: x",
        ),
    ],
)
def test_reasons_why_slurm_refused_or_ended_a_job(message: str, named: str) -> None:
    """As Snakemake's plugin 2.8 for SLURM writes them."""
    assert named in meaning(message, "train")


@pytest.mark.parametrize("message", ["", "SLURM-job '13' failed, SLURM status is: 'FAILED'. Reason: Unknown."])
def test_jobs_that_failed_by_themselves_have_no_reason_of_slurm(message: str) -> None:
    assert meaning(message, "train") == ""


def test_a_job_requests_the_resources_of_the_study(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(
        "dataset: {phantoms: 6}\nmethods: [FemurScratchTrainer]\n"
        "cluster: {account: 123, partition: cpu, gpu-partition: gpu, gres: 'gpu:a100:1', qos: long, extra: --nice=5,\n"
        "  resources: {train: {minutes: 90}}}\n"
    )
    study = read_study(tmp_path / "study.yaml")
    of_slurm = {"slurm_account": 123, "slurm_partition": "cpu", "qos": "long", "slurm_extra": "--nice=5"}
    assert resources_of(study, "plan", "cuda") == {"mem_mb": 16_000, "runtime": 240, "cpus_per_task": 4, **of_slurm}
    asked = resources_of(study, "train", "cuda", after="7:8")
    assert (asked["runtime"], asked["mem_mb"], asked["gres"]) == (90, 32_000, "gpu:a100:1")
    assert (asked["slurm_partition"], asked["slurm_extra"]) == ("gpu", "--nice=5 --dependency=afterany:7:8")
    assert "gres" not in resources_of(study, "train", "cpu")


def test_beside_a_gpu_nnunet_starts_no_more_processes_than_the_job_has_cpus(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("dataset: {phantoms: 6}\nmethods: [FemurScratchTrainer]\n")
    study = read_study(tmp_path / "study.yaml")
    few, many = (environment_of(study, "cuda", threads) for threads in (4, 64))
    assert (few["nnUNet_n_proc_DA"], few["nnUNet_def_n_proc"]) == ("4", "4")
    assert (many["nnUNet_n_proc_DA"], many["nnUNet_def_n_proc"]) == ("12", "8")


def test_the_documentation_has_the_default_resources() -> None:
    text = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (CPU|GPU) \| ([\d ]+) \| ([\d ]+) \| (\d+) \|$", text, re.MULTILINE)
    documented = {
        stage: (device == "GPU", *(int(number.replace(" ", "")) for number in numbers))
        for stage, device, *numbers in rows
    }
    assert documented == {
        stage: (stage in ON_GPU, each["mem_mb"], each["minutes"], each["cpus"]) for stage, each in DEFAULTS.items()
    }
