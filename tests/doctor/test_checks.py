"""Each check on machines that are made up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnunet_femur.dataset.environment import NNUNET_FOLDERS, TRAINER_FOLDER
from nnunet_femur.doctor import Finding, Status, checks, examine, healthy
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
"""The checks that look at nothing but the machine they are given."""


def _found(check: str, **changes: Any) -> list[Finding]:
    return list(getattr(checks, check)(replace(GOOD, **changes)))


def _environ(**changes: str | None) -> dict[str, str]:
    return {name: value for name, value in {**GOOD.environ, **changes}.items() if value is not None}


def test_a_good_machine_has_nothing_but_good() -> None:
    findings = [finding for found in examine(GOOD, checks=OFFLINE).values() for finding in found]
    assert {finding.status for finding in findings} == {Status.OK}
    assert healthy(findings)


CASES = [
    ("python", {"python": "3.9.2"}, Status.WARNING, "3.9.2", "--python"),
    ("python", {"requires_python": None}, Status.BROKEN, "not installed", "pip install"),
    ("versions", {"installed": {"torch": "2.15", "numpy": None}}, Status.BROKEN, "numpy", 'pip install "numpy>=1.26"'),
    ("versions", {"installed": {"torch": "3.1", "numpy": "2"}}, Status.WARNING, "torch 3.1", "torch<3,>=2"),
    ("imports", {"import_errors": {"torch": "OSError: libc"}}, Status.BROKEN, "libc", "--force-reinstall torch"),
    ("imports", {"import_errors": {"torch.cuda": "driver"}}, Status.WARNING, "driver", "nvidia-smi"),
    ("gpu", {"torch": Torch("2"), "nvidia_driver": False}, Status.NOTE, "No GPU", "--preset small"),
    ("gpu", {"torch": Torch("2+cpu")}, Status.WARNING, "without CUDA", "pip install"),
    ("gpu", {"torch": Torch("2", cuda_built=True)}, Status.WARNING, "finds no GPU", "nvidia-smi"),
    (
        "gpu",
        {"torch": Torch("2", cuda_built=True), "environ": _environ(CUDA_VISIBLE_DEVICES="")},
        Status.WARNING,
        "hides",
        "unset CUDA_VISIBLE_DEVICES",
    ),
    ("gpu", {"torch": Torch("2", cuda=(("GTX", 4 * GIB),))}, Status.WARNING, "less than the 8", "--preset small"),
    ("gpu", {"torch": Torch("2", mps=True), "nvidia_driver": False}, Status.OK, "--device mps", ""),
    ("folders", {"environ": _environ(nnUNet_raw=None)}, Status.WARNING, "nnUNet_raw not set", "nnfemur env"),
    (
        "folders",
        {"unwritable": frozenset({Path("/data/nnUNet_results")})},
        Status.BROKEN,
        "/data/nnUNet_results, which cannot be written",
        "nnfemur env",
    ),
    ("trainers", {"environ": _environ(nnUNet_extTrainer=None)}, Status.WARNING, "will not find", "nnfemur env"),
    (
        "trainers",
        {"environ": _environ(nnUNet_extTrainer=f"/mine:{TRAINER_FOLDER}")},
        Status.WARNING,
        "/mine first",
        "nnfemur env",
    ),
    ("disk", {"free_bytes": {Path("/d"): GIB // 2}}, Status.BROKEN, "not enough", "du -sh"),
    ("disk", {"free_bytes": {Path("/d"): 5 * GIB}}, Status.WARNING, "5.0 GiB", "du -sh"),
    ("memory", {"memory_bytes": 4 * GIB}, Status.WARNING, "4.0 GiB", "small"),
    ("workers", {"shared_bytes": 64 << 20}, Status.WARNING, "64 MiB", "--shm-size"),
    ("workers", {"cpus": 2}, Status.WARNING, "6 processes", "nnUNet_n_proc_DA=0 nnUNet_def_n_proc=2"),
    ("workers", {"environ": _environ(nnUNet_n_proc_DA="many")}, Status.BROKEN, "no number", "export"),
    ("workers", {"environ": _environ(nnUNet_def_n_proc="0")}, Status.BROKEN, "below 1", "export"),
]


@pytest.mark.parametrize(("check", "changes", "status", "message", "remedy"), CASES)
def test_a_fault_is_named_with_its_remedy(
    check: str, changes: dict[str, Any], status: Status, message: str, remedy: str
) -> None:
    (finding,) = [each for each in _found(check, **changes) if check != "gpu" or each.status is status]
    assert finding.status is status
    assert message in finding.message
    assert remedy in finding.remedy


def test_every_check_can_find_something() -> None:
    assert {case[0] for case in CASES} == {check.__name__ for check in OFFLINE}


def test_without_torch_the_other_checks_go_on() -> None:
    broken = replace(GOOD, torch=None, import_errors={"torch": "ImportError: no", "nnunetv2": "ImportError: no"})
    found = examine(broken, checks=OFFLINE)
    assert [finding.status for finding in found["imports"]] == [Status.BROKEN, Status.BROKEN]
    assert found["gpu"] == []
    assert found["disk"][0].status is Status.OK
    assert not healthy(finding for each in found.values() for finding in each)


def test_the_table_has_the_command_below_the_fault(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(examine(replace(GOOD, python="3.9.2"), checks=(checks.python, checks.disk)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["warning", "python", "Python", "3.9.2", "is", *lines[0].split()[5:]]
    assert lines[1].strip().startswith("uv venv")
    assert lines[2].startswith("ok       disk")
    assert lines[-1] == "Nothing that must work is broken; 1 warning(s)."


def test_a_check_that_fails_is_a_finding() -> None:
    def wrong(machine: Machine) -> list[Finding]:
        raise KeyError(machine.platform)

    (finding,) = examine(GOOD, checks=(wrong,))["wrong"]
    assert finding.status is Status.WARNING
    assert "KeyError" in finding.message
