"""Limits of containers, as control groups write them."""

from __future__ import annotations

import pytest

from nnunet_femur.doctor.machine import bytes_of_limit, cpus_of_quota

GIB = 1 << 30


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        (("max 100000\n", None, None), None),
        (("150000 100000\n", None, None), 2),
        ((None, "-1", "100000"), None),
        ((None, "50000", "100000"), 1),
        ((None, None, None), None),
    ],
)
def test_cpus_of_a_control_group(files: tuple, cpus: int | None) -> None:
    assert cpus_of_quota(*files) == cpus


def test_memory_of_a_control_group() -> None:
    assert bytes_of_limit("max\n", None) is None
    assert bytes_of_limit("1073741824\n", None) == GIB
    assert bytes_of_limit(None, "9223372036854771712") is None
    assert bytes_of_limit(None, str(2 * GIB)) == 2 * GIB
    assert bytes_of_limit(None, None) is None
