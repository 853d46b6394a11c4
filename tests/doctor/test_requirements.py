"""Versions of packages, compared with the required ones."""

from __future__ import annotations

import pytest

from nnunet_femur.doctor import Status
from nnunet_femur.doctor.requirements import check_versions, required_here


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
