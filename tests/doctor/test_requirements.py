"""Required versions of packages, and numbers of worker processes: those of nnU-Net, and safe ones."""

from __future__ import annotations

import pytest

from nnunet_femur.doctor import Status
from nnunet_femur.doctor.requirements import Workers, check_versions, nnunet_workers, required_here, safe_workers


def test_extras_and_other_platforms_are_left_out() -> None:
    texts = ["torch>=2", 'black; extra == "dev"', 'x; sys_platform == "other"', "not a requirement !"]
    assert [each.name for each in required_here(texts)] == ["torch"]


@pytest.mark.parametrize(
    ("installed", "status"),
    [
        ("2.3.1", Status.OK),
        ("2.3.1+cu128", Status.OK),
        ("2.4.0rc1", Status.OK),
        ("3.0", Status.WARNING),
        ("nonsense", Status.WARNING),
        (None, Status.BROKEN),
    ],
)
def test_an_installed_version(installed: str | None, status: Status) -> None:
    (result,) = check_versions(["torch>=2,<3"], {"torch": installed})
    assert result.status is status
    assert result.remedy == ("" if status is Status.OK else 'pip install "torch<3,>=2"')


GIB = 1 << 30


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ({"cpus": 32, "memory_bytes": 128 * GIB, "shared_bytes": 64 * GIB, "platform": "linux"}, Workers(12, 8)),
        ({"cpus": 8, "memory_bytes": 64 * GIB, "shared_bytes": 32 * GIB, "platform": "linux"}, Workers(7, 8)),
        ({"cpus": 2, "memory_bytes": 24 * GIB, "shared_bytes": 12 * GIB, "platform": "linux"}, Workers(0, 2)),
        # Docker's default of shared memory.
        ({"cpus": 16, "memory_bytes": 64 * GIB, "shared_bytes": 64 << 20, "platform": "linux"}, Workers(0, 8)),
        # 8 - 4 GiB for the training leave two workers of 1.5 GiB.
        ({"cpus": 16, "memory_bytes": 8 * GIB, "shared_bytes": 4 * GIB, "platform": "linux"}, Workers(2, 4)),
        ({"cpus": 12, "memory_bytes": 32 * GIB, "shared_bytes": None, "platform": "darwin"}, Workers(4, 4)),
        ({"cpus": 16, "memory_bytes": 64 * GIB, "shared_bytes": None, "platform": "win32"}, Workers(4, 4)),
        ({"cpus": 1, "memory_bytes": 1 * GIB, "shared_bytes": GIB, "platform": "linux"}, Workers(0, 1)),
    ],
)
def test_safe_workers(machine: dict, expected: Workers) -> None:
    assert safe_workers(**machine) == expected


def test_nnunet_counts_the_cpus_of_the_whole_machine() -> None:
    assert nnunet_workers({}, cpu_count=64) == Workers(12, 8)
    assert nnunet_workers({}, cpu_count=4) == Workers(4, 8)
    assert nnunet_workers({"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "3"}, cpu_count=4) == Workers(0, 3)
    with pytest.raises(ValueError, match="many"):
        nnunet_workers({"nnUNet_n_proc_DA": "many"}, cpu_count=4)
