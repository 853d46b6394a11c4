"""Checks of invented machines, and of the weights on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnunet_femur.dataset.environment import NNUNET_FOLDERS, TRAINER_FOLDER
from nnunet_femur.doctor import CheckResult, Status, checks, examine, healthy
from nnunet_femur.doctor.checks import encoders, totalsegmentator
from nnunet_femur.doctor.examination import print_table
from nnunet_femur.doctor.machine import Machine, Torch

GIB = 1 << 30
GOOD = Machine(
    platform="linux",
    python="3.12.1",
    requires_python=">=3.10,<3.14",
    requirements=("torch<3,>=2", "numpy>=1.26", 'colorama>=1; sys_platform == "win32"', 'black; extra == "dev"'),
    installed={"torch": "2.15.0+cu128", "numpy": "2.1.0"},
    environ={
        **{name: f"/data/{name}" for name in NNUNET_FOLDERS},
        "nnUNet_extTrainer": str(TRAINER_FOLDER),
        "nnUNet_n_proc_DA": "6",
    },
    cpu_count=16,
    cpus=16,
    memory_bytes=64 * GIB,
    shared_bytes=32 * GIB,
    free_bytes={Path("/data/nnUNet_raw"): 300 * GIB},
    nvidia_driver=True,
    torch=Torch("2.15.0+cu128", cuda_built=True, cuda=(("A100", 40 * GIB),)),
)
OFFLINE = tuple(check for check in checks.CHECKS if check.__name__ not in ("totalsegmentator", "encoders"))
"""The checks that use nothing but the machine they get."""


def _found(check: str, **changes: Any) -> list[CheckResult]:
    return list(getattr(checks, check)(replace(GOOD, **changes)))


def _environ(**changes: str | None) -> dict[str, str]:
    return {name: value for name, value in {**GOOD.environ, **changes}.items() if value is not None}


def test_a_good_machine_has_no_problems() -> None:
    results = [result for found in examine(GOOD, checks=OFFLINE).values() for result in found]
    assert {result.status for result in results} == {Status.OK}
    assert healthy(results)


CASES: list[tuple[str, dict[str, Any], Status, str, str]] = [
    ("python", {"python": "3.9.2"}, Status.WARNING, "3.9.2", "--python"),
    ("python", {"requires_python": None}, Status.BROKEN, "nnunet_femur", "pip install"),
    ("versions", {"installed": {"torch": "2.15", "numpy": None}}, Status.BROKEN, "numpy", 'pip install "numpy>=1.26"'),
    ("versions", {"installed": {"torch": "3.1", "numpy": "2"}}, Status.WARNING, "torch 3.1", "torch<3,>=2"),
    ("imports", {"import_errors": {"torch": "OSError: libc"}}, Status.BROKEN, "libc", "--force-reinstall torch"),
    ("imports", {"import_errors": {"torch.cuda": "driver"}}, Status.WARNING, "driver", "nvidia-smi"),
    ("gpu", {"torch": Torch("2"), "nvidia_driver": False}, Status.NOTE, "GPU", "--preset small"),
    ("gpu", {"torch": Torch("2+cpu")}, Status.WARNING, "2+cpu", "pip install"),
    ("gpu", {"torch": Torch("2", cuda_built=True)}, Status.WARNING, "driver", "nvidia-smi"),
    (
        "gpu",
        {"torch": Torch("2", cuda_built=True), "environ": _environ(CUDA_VISIBLE_DEVICES="")},
        Status.WARNING,
        "CUDA_VISIBLE_DEVICES",
        "unset CUDA_VISIBLE_DEVICES",
    ),
    ("gpu", {"torch": Torch("2", cuda=(("GTX", 4 * GIB),))}, Status.WARNING, "8 GiB", "--preset small"),
    ("gpu", {"torch": Torch("2", mps=True), "nvidia_driver": False}, Status.OK, "--device mps", ""),
    ("cpu", {"torch": Torch("2")}, Status.NOTE, "OpenVINO", "pip install openvino"),
    ("cpu", {"openvino": ("float32",)}, Status.OK, "float32", ""),
    ("cpu", {"openvino": ("float32", "bfloat16", "float16")}, Status.OK, "in float16", ""),
    ("folders", {"environ": _environ(nnUNet_raw=None)}, Status.WARNING, "nnUNet_raw", "nnfemur env"),
    (
        "folders",
        {"unwritable": frozenset({Path("/data/nnUNet_results")})},
        Status.BROKEN,
        "/data/nnUNet_results",
        "nnfemur env",
    ),
    ("trainers", {"environ": _environ(nnUNet_extTrainer=None)}, Status.WARNING, "nnUNet_extTrainer", "nnfemur env"),
    (
        "trainers",
        {"environ": _environ(nnUNet_extTrainer=f"/mine:{TRAINER_FOLDER}")},
        Status.WARNING,
        "/mine",
        "nnfemur env",
    ),
    ("disk", {"free_bytes": {Path("/d"): GIB // 2}}, Status.BROKEN, "0.5 GiB", "du -sh"),
    ("disk", {"free_bytes": {Path("/d"): 5 * GIB}}, Status.WARNING, "5.0 GiB", "du -sh"),
    ("memory", {"memory_bytes": 4 * GIB}, Status.WARNING, "4.0 GiB", "small"),
    ("workers", {"shared_bytes": 64 << 20}, Status.WARNING, "64 MiB", "--shm-size"),
    ("workers", {"cpus": 2}, Status.WARNING, "6 processes", "nnUNet_n_proc_DA=0 nnUNet_def_n_proc=2"),
    ("workers", {"environ": _environ(nnUNet_n_proc_DA="many")}, Status.BROKEN, "nnUNet_n_proc_DA", "export"),
    ("workers", {"environ": _environ(nnUNet_def_n_proc="0")}, Status.BROKEN, "nnUNet_def_n_proc", "export"),
]


@pytest.mark.parametrize(("check", "changes", "status", "named", "remedy"), CASES)
def test_a_problem_has_its_remedy(check: str, changes: dict[str, Any], status: Status, named: str, remedy: str) -> None:
    (result,) = [each for each in _found(check, **changes) if check != "gpu" or each.status is status]
    assert result.status is status
    assert named in result.message
    assert remedy in result.remedy


def test_every_check_can_find_something() -> None:
    assert {case[0] for case in CASES} == {check.__name__ for check in OFFLINE}


def test_without_torch_the_other_checks_go_on() -> None:
    broken = replace(GOOD, torch=None, import_errors={"torch": "ImportError: no", "nnunetv2": "ImportError: no"})
    found = examine(broken, checks=OFFLINE)
    assert [result.status for result in found["imports"]] == [Status.BROKEN, Status.BROKEN]
    assert found["gpu"] == []
    assert found["disk"][0].status is Status.OK
    assert not healthy(result for each in found.values() for result in each)


def test_the_table_has_the_command_below_the_problem(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(examine(replace(GOOD, python="3.9.2"), checks=(checks.python, checks.disk)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["warning", "python"]
    assert lines[1].strip().startswith("uv venv")
    assert lines[2].startswith("ok       disk")
    assert "Warnings: 1" in lines[-1]


def test_a_check_that_fails_is_a_warning() -> None:
    def wrong(machine: Machine) -> list[CheckResult]:
        raise KeyError(machine.platform)

    (result,) = examine(GOOD, checks=(wrong,))["wrong"]
    assert result.status is Status.WARNING
    assert "KeyError" in result.message


MACHINE = Machine(platform="linux", python="3.12.1", requires_python=">=3.10")


def test_encoders_are_counted(tmp_path: Path) -> None:
    machine = replace(MACHINE, environ={"NNFEMUR_ENCODERS": str(tmp_path), "HF_HUB_CACHE": str(tmp_path)})
    (none,) = encoders(machine)
    assert none.status is Status.NOTE
    cached = tmp_path / "models--smp-hub--resnet34.imagenet" / "snapshots" / "1" / "model.safetensors"
    cached.parent.mkdir(parents=True)
    cached.touch()
    (tmp_path / "resnet50.safetensors").touch()
    (found,) = encoders(machine)
    assert found.status is Status.OK
    assert "2 file(s)" in found.message


def test_missing_weights_have_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
    (finding,) = totalsegmentator(MACHINE)
    assert finding.status is Status.WARNING
    assert finding.remedy == "nnfemur weights download"
    assert str(tmp_path) in finding.message
